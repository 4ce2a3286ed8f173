-- The table as a queue: claim what is due, give it back, know when the next row falls due.

-- First come, first served: a row falls due when it was scheduled for, else when it was made.
-- The two indexes hold only what waits, or is being worked on; finished rows cost nothing.
-- A row of no enterprise is nobody's and never claimed. (Where the column refuses NULL the planner
-- of Postgres 17 and up drops that condition, and would no longer match it with the index's.)
DO $$
BEGIN
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_due ON notify.ent_notification
            ((coalesce(scheduled_for, created_at, ''-infinity'')), id)
            WHERE notification_status = ''PENDING''%s',
        (SELECT CASE WHEN attnotnull THEN '' ELSE ' AND enterprise_id IS NOT NULL' END
         FROM pg_catalog.pg_attribute
         WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id'));

    IF NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = 'notify.ent_notification'::regclass
                     AND a.attname = 'id' AND i.indpred IS NULL) THEN
        CREATE INDEX ent_notification_xnovu_id ON notify.ent_notification (id);
    END IF;
END $$;

CREATE INDEX IF NOT EXISTS ent_notification_xnovu_claimed ON notify.ent_notification (claimed_until)
    WHERE notification_status = 'PROCESSING';

-- The name a notification has at the provider: the same however often it is claimed, another one
-- after a re-drive. Sixteen bytes of SHA-256, marked as a UUID of version 8 (RFC 9562).
CREATE OR REPLACE FUNCTION notify.transaction_id(enterprise_id text, notification_id bigint, generation int)
RETURNS uuid LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    digest bytea := sha256(convert_to(concat_ws('/', enterprise_id, notification_id, generation), 'UTF8'));
BEGIN
    digest := set_byte(digest, 6, get_byte(digest, 6) & 15 | 128);
    digest := set_byte(digest, 8, get_byte(digest, 8) & 63 | 128);
    RETURN encode(substring(digest FROM 1 FOR 16), 'hex');
END $$;

-- The same, unless the platform has chosen one, and in the type of the platform's column. What an
-- earlier generation left there is replaced: the provider would take the re-drive for a repeat.
CREATE OR REPLACE FUNCTION notify.xnovu_transaction_id(n notify.ent_notification)
RETURNS notify.ent_notification.transaction_id%TYPE
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF n.transaction_id IS NOT NULL AND (n.generation = 0 OR n.transaction_id::text
            <> notify.transaction_id(n.enterprise_id::text, n.id, n.generation::int - 1)::text) THEN
        RETURN n.transaction_id;
    END IF;
    RETURN notify.transaction_id(n.enterprise_id::text, n.id, n.generation::int);
END $$;

-- A deadline that every client can read: one beyond the year 9999, infinity among them, is none.
CREATE OR REPLACE FUNCTION notify.xnovu_deadline(expires_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 < '9999-01-01Z'::timestamptz THEN greatest($1, '1970-01-01Z'::timestamptz) END
$$;

-- Take up to `max_rows` due rows for `lease_seconds`, those whose claim has lapsed first. Skips what
-- others are taking at this moment. Planned anew each time, and only ever along the two indexes.
CREATE OR REPLACE FUNCTION notify.claim(max_rows int, lease_seconds double precision)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM set_config('xnovu.actor', 'ingest', true);
    RETURN QUERY
    WITH lapsed AS (
        SELECT n.id, n.enterprise_id, n.claimed_until AS due
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.claimed_until <= now()
          AND n.enterprise_id IS NOT NULL
        ORDER BY n.claimed_until
        LIMIT claim.max_rows
        FOR UPDATE SKIP LOCKED
    ), pending AS (
        SELECT n.id, n.enterprise_id, coalesce(n.scheduled_for, n.created_at, '-infinity') AS due
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PENDING' AND n.enterprise_id IS NOT NULL
          AND coalesce(n.scheduled_for, n.created_at, '-infinity') <= now()
        ORDER BY coalesce(n.scheduled_for, n.created_at, '-infinity'), n.id
        LIMIT claim.max_rows - (SELECT count(*) FROM lapsed)
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE notify.ent_notification n
        SET notification_status = 'PROCESSING',
            claims = n.claims + 1,
            claimed_until = now() + make_interval(secs => claim.lease_seconds),
            transaction_id = notify.xnovu_transaction_id(n),
            updated_at = now()
        FROM (SELECT * FROM lapsed UNION ALL SELECT * FROM pending) AS taken
        WHERE n.id = taken.id AND n.enterprise_id = taken.enterprise_id
        RETURNING n.id, n.enterprise_id, n.generation, n.claims, n.transaction_id, n.expires_at, taken.due
    )
    SELECT c.id::bigint, c.enterprise_id::text, c.generation::int, c.claims::int,
           c.transaction_id::text, notify.xnovu_deadline(c.expires_at), c.claims > 1
    FROM claimed c ORDER BY c.due, c.id;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;

-- Seconds until the next row is due; 0 if some are, null if none ever will be.
CREATE OR REPLACE FUNCTION notify.next_due() RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_sort = off AS $$
DECLARE
    due timestamptz := least(
        (SELECT coalesce(n.scheduled_for, n.created_at, '-infinity')
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PENDING' AND n.enterprise_id IS NOT NULL
         ORDER BY coalesce(n.scheduled_for, n.created_at, '-infinity'), n.id LIMIT 1),
        (SELECT n.claimed_until
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL
         ORDER BY n.claimed_until LIMIT 1));
BEGIN
    RETURN CASE WHEN due <= now() THEN 0
                WHEN due < 'infinity' THEN extract(epoch FROM due - now()) END;
END $$;

-- Give claimed rows back at once. `keys`: [{id, enterprise_id, generation, claims}, …], here and below.
CREATE OR REPLACE FUNCTION notify.release(keys jsonb) RETURNS TABLE (id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE notify.ent_notification n
    SET claimed_until = now(), updated_at = now()
    FROM (SELECT * FROM jsonb_to_recordset(release.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.notification_status = 'PROCESSING'
      AND n.generation = key.generation AND n.claims = key.claims
    RETURNING n.id::bigint;
END $$;
