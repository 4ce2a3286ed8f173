-- Whose row is claimed next: enterprises take turns, and each has its own order.

DO $$
DECLARE
    type text := (SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
                  WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'priority');
BEGIN
    IF type NOT IN ('smallint', 'integer', 'bigint') THEN
        RAISE EXCEPTION 'notify.ent_notification.priority is of type %, which XNovu cannot work with', type
            USING ERRCODE = 'XN001',
                  HINT = 'ALTER TABLE notify.ent_notification ALTER COLUMN priority TYPE int USING …, or rename the column.';
    END IF;
END $$;

ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS armed_for timestamptz;

-- A row that states no priority is to be told from one that states 0: the default that the first migration
-- made is taken back. One of the platform's own is its own affair.
DO $$
BEGIN
    IF (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
        JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = 'notify.ent_notification'::regclass AND a.attname = 'priority') = '0' THEN
        ALTER TABLE notify.ent_notification
            ALTER COLUMN priority DROP DEFAULT, ALTER COLUMN priority DROP NOT NULL;
    END IF;
END $$;

ALTER TABLE notify.ent_notification_workflow ADD COLUMN IF NOT EXISTS priority int;

COMMENT ON COLUMN notify.ent_notification.priority IS
    'Higher goes first among the rows of its enterprise: 1 high, 0 normal, -1 low. Null: its workflow''s, else 0.';
COMMENT ON COLUMN notify.ent_notification_workflow.priority IS 'Of notifications that state none of their own.';
COMMENT ON COLUMN notify.ent_notification.armed_for IS
    'The schedule that has come: the row is ready if it is scheduled_for that. A later one makes it wait again.';

-- What enterprises may have; who has no row here has what everybody has.
CREATE TABLE IF NOT EXISTS notify.xnovu_enterprise (
    enterprise_id text PRIMARY KEY,
    weight int NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000)
);

COMMENT ON COLUMN notify.xnovu_enterprise.weight IS
    'How much is sent for it, compared with others, while more waits than can be sent.';

-- A row that states no priority has its workflow's.
CREATE INDEX IF NOT EXISTS ent_notification_workflow_xnovu_priority ON notify.ent_notification_workflow (enterprise_id)
    WHERE priority IS NOT NULL;

CREATE OR REPLACE FUNCTION notify.xnovu_prioritise() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.priority := 0;
    IF EXISTS (SELECT FROM notify.ent_notification_workflow w
               WHERE w.enterprise_id = NEW.enterprise_id AND w.priority IS NOT NULL) THEN
        NEW.priority := coalesce((
            SELECT w.priority FROM notify.ent_notification_workflow w
            WHERE w.enterprise_id = NEW.enterprise_id
              AND notify.xnovu_reference(w) = NEW.notification_workflow_id
            ORDER BY coalesce(w.deactivated, false), w.version DESC NULLS LAST LIMIT 1), 0);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_prioritise
    BEFORE INSERT ON notify.ent_notification
    FOR EACH ROW WHEN (NEW.priority IS NULL)
    EXECUTE FUNCTION notify.xnovu_prioritise();

-- What is ready, by enterprise and in its order. Its rank, the lowest first, is the hour it fell due in, two
-- hours earlier for each step of priority: a higher one overtakes, and nobody is overtaken for ever. A row
-- falls due when it is scheduled for, but not before it was made: who schedules it for the past does not go
-- before who came then. Then the earlier deadline, and first come. And what waits for its time. What was
-- claimed or has ended costs nothing. (Where the column of the enterprise refuses NULL the planner of
-- Postgres 17 and up drops that condition, and would no longer match it with the index's.)
DO $$
DECLARE
    anybody text := (SELECT CASE WHEN attnotnull THEN '' ELSE ' AND enterprise_id IS NOT NULL' END
                     FROM pg_catalog.pg_attribute
                     WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id');
BEGIN
    EXECUTE 'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_ready ON notify.ent_notification
        (enterprise_id,
         (CASE WHEN isfinite(greatest(scheduled_for, created_at))
               THEN floor(date_part(''epoch'', greatest(scheduled_for, created_at) - ''2000-01-01Z''::timestamptz) / 3600)
               ELSE 0 END - 2 * least(greatest(coalesce(priority, 0), -100), 100)),
         (coalesce(expires_at, ''infinity'')), (coalesce(greatest(scheduled_for, created_at), ''-infinity'')), id)
        WHERE notification_status = ''PENDING'' AND (scheduled_for IS NULL OR armed_for = scheduled_for)' || anybody;
    EXECUTE 'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_scheduled ON notify.ent_notification (scheduled_for)
        WHERE notification_status = ''PENDING'' AND armed_for IS DISTINCT FROM scheduled_for' || anybody;
    EXECUTE 'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_scheduled_of_enterprise ON notify.ent_notification
        (enterprise_id, scheduled_for)
        WHERE notification_status = ''PENDING'' AND armed_for IS DISTINCT FROM scheduled_for' || anybody;
END $$;

DROP INDEX IF EXISTS notify.ent_notification_xnovu_due;
DROP INDEX IF EXISTS notify.ent_notification_xnovu_due_of_enterprise;

-- Make ready what has come due, the first first; of one enterprise where `of_enterprise` says so.
CREATE OR REPLACE FUNCTION notify.xnovu_arm(of_enterprise notify.ent_notification.enterprise_id%TYPE) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM FROM notify.ent_notification n
    WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
      AND n.scheduled_for <= now() AND n.enterprise_id IS NOT NULL
      AND (of_enterprise IS NULL OR n.enterprise_id = of_enterprise)
    ORDER BY n.scheduled_for LIMIT 1;
    IF NOT FOUND THEN  -- a statement that changes nothing would still wake the audit
        RETURN;
    END IF;
    UPDATE notify.ent_notification n
    SET armed_for = n.scheduled_for
    FROM (SELECT n.id, n.enterprise_id
          FROM notify.ent_notification n
          WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
            AND n.scheduled_for <= now() AND n.enterprise_id IS NOT NULL
            AND (of_enterprise IS NULL OR n.enterprise_id = of_enterprise)
          ORDER BY n.scheduled_for LIMIT 500
          FOR UPDATE SKIP LOCKED) AS come
    WHERE n.id = come.id AND n.enterprise_id = come.enterprise_id;
END $$;

-- Enterprises that have something ready, from the one after `after` round to it, `most` at the most.
CREATE OR REPLACE FUNCTION notify.xnovu_ring(after notify.ent_notification.enterprise_id%TYPE, most int)
RETURNS TABLE (enterprise_id notify.ent_notification.enterprise_id%TYPE, place int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    WITH RECURSIVE ring (enterprise_id, place, round) AS (
        (SELECT * FROM (
            (SELECT n.enterprise_id, 1, xnovu_ring.after IS NULL FROM notify.ent_notification n
             WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
               AND n.enterprise_id IS NOT NULL AND n.enterprise_id > xnovu_ring.after
             ORDER BY n.enterprise_id LIMIT 1)
            UNION ALL
            (SELECT n.enterprise_id, 1, true FROM notify.ent_notification n
             WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
               AND n.enterprise_id IS NOT NULL
             ORDER BY n.enterprise_id LIMIT 1)) AS first LIMIT 1)
        UNION ALL
        SELECT next.* FROM ring, LATERAL (
            SELECT * FROM (
                (SELECT n.enterprise_id, ring.place + 1, ring.round FROM notify.ent_notification n
                 WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL AND n.enterprise_id > ring.enterprise_id
                 ORDER BY n.enterprise_id LIMIT 1)
                UNION ALL
                (SELECT n.enterprise_id, ring.place + 1, true FROM notify.ent_notification n
                 WHERE NOT ring.round
                   AND n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL
                 ORDER BY n.enterprise_id LIMIT 1)) AS either LIMIT 1) AS next
        WHERE ring.place < xnovu_ring.most
          AND (NOT next.round OR xnovu_ring.after IS NULL OR next.enterprise_id <= xnovu_ring.after))
    SELECT ring.enterprise_id, ring.place FROM ring
$$;

DROP FUNCTION IF EXISTS notify.claim(int, double precision, uuid, text);

-- Take up to `max_rows` due rows for `lease_seconds`; of one enterprise where `of_enterprise` says so.
-- Skips what others are taking at this moment. Those whose claim has lapsed come first, but never keep all
-- places from the others. Then enterprises have their turns, from the one after `after`, in proportion to
-- their weights: all of them, or as many as there is room for with four rows each (deficit round robin:
-- Shreedhar and Varghese, 1995). What some do not need of theirs goes to the others. It may return fewer
-- rows than there are, never none. The last row's enterprise is the next call's `after`. Planned anew each
-- time, and only ever along the indexes.
CREATE OR REPLACE FUNCTION notify.claim(max_rows int, lease_seconds double precision, token uuid DEFAULT NULL,
                             of_enterprise text DEFAULT NULL, after text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
    wanted notify.ent_notification.enterprise_id%TYPE := claim.of_enterprise;
    last notify.ent_notification.enterprise_id%TYPE := claim.after;
    least_turn constant int := 4;
    room constant int := (claim.max_rows + least_turn - 1) / least_turn;
    anybody notify.ent_notification.enterprise_id%TYPE[];
    weights int[];
    turn int;
    served int;
    all_of_them boolean;
BEGIN
    PERFORM set_config('xnovu.actor', 'ingest', true);
    PERFORM notify.xnovu_arm(wanted);
    IF wanted IS NULL THEN
        SELECT array_agg(r.enterprise_id ORDER BY r.place), array_agg(coalesce(e.weight, 1) ORDER BY r.place)
        INTO anybody, weights
        FROM notify.xnovu_ring(last, room + 1) AS r
        LEFT JOIN notify.xnovu_enterprise e ON e.enterprise_id = r.enterprise_id::text;
    ELSE
        anybody := ARRAY[wanted];
        weights := '{1}';
    END IF;
    turn := greatest(1, claim.max_rows / (SELECT sum(w) FROM unnest(weights[:room]) AS w));
    served := (SELECT least(room, greatest(1, count(*))) FROM (
        SELECT sum(turn * w) OVER (ORDER BY place) AS needed
        FROM unnest(weights) WITH ORDINALITY AS each (w, place)) AS sums WHERE needed <= claim.max_rows);
    all_of_them := served = cardinality(anybody);
    anybody := anybody[:served];
    weights := weights[:served];

    RETURN QUERY
    WITH lapsed AS (
        SELECT n.id, n.enterprise_id, n.claimed_until
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.claimed_until <= now()
          AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
        ORDER BY n.claimed_until
        LIMIT claim.max_rows - CASE WHEN anybody IS NULL THEN 0 ELSE claim.max_rows / 2 END
        FOR UPDATE SKIP LOCKED
    ), ready AS MATERIALIZED (
        SELECT ring.place, ring.weight, row.*
        FROM unnest(anybody, weights) WITH ORDINALITY AS ring (enterprise_id, weight, place),
             LATERAL (
                 SELECT n.id, n.enterprise_id,
                        CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                             THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                             ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100) AS rank,
                        coalesce(n.expires_at, 'infinity') AS deadline,
                        coalesce(greatest(n.scheduled_for, n.created_at), '-infinity') AS due
                 FROM notify.ent_notification n
                 WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL AND n.enterprise_id = ring.enterprise_id
                 ORDER BY CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                               THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                               ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100),
                          coalesce(n.expires_at, 'infinity'), coalesce(greatest(n.scheduled_for, n.created_at), '-infinity'), n.id
                 LIMIT least(claim.max_rows, turn * ring.weight * CASE WHEN all_of_them THEN 2 ELSE 1 END)
                 FOR UPDATE SKIP LOCKED) AS row
    ), numbered AS (
        SELECT r.id, r.enterprise_id, r.place, r.weight,
               row_number() OVER (PARTITION BY r.place ORDER BY r.rank, r.deadline, r.due, r.id) AS number
        FROM ready r
    ), pending AS (
        SELECT n.id, n.enterprise_id, (n.number - 1) / (turn * n.weight) AS round, n.place, n.number
        FROM numbered n
        ORDER BY round, n.place, n.number
        LIMIT least(claim.max_rows, turn * (SELECT sum(w) FROM unnest(weights) AS w)) - (SELECT count(*) FROM lapsed)
    ), claimed AS (
        UPDATE notify.ent_notification n
        SET notification_status = 'PROCESSING',
            claims = n.claims + 1,
            claimed_until = now() + make_interval(secs => claim.lease_seconds),
            claim_token = claim.token,
            transaction_id = notify.xnovu_transaction_id(n),
            updated_at = now()
        FROM (SELECT l.id, l.enterprise_id, l.claimed_until, 0 AS round, 0 AS place, 0 AS number FROM lapsed l
              UNION ALL SELECT p.id, p.enterprise_id, NULL, p.round, p.place, p.number FROM pending p) AS taken
        WHERE n.id = taken.id AND n.enterprise_id = taken.enterprise_id
        RETURNING n.id, n.enterprise_id, n.generation, n.claims, n.transaction_id, n.expires_at,
                  taken.claimed_until, taken.round, taken.place, taken.number
    )
    SELECT c.id::bigint, c.enterprise_id::text, c.generation::int, c.claims::int,
           c.transaction_id::text, notify.xnovu_deadline(c.expires_at), c.claims > 1
    FROM claimed c ORDER BY c.claimed_until, c.round, c.place, c.number, c.id;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;

-- Seconds until the next row is due (of one enterprise); 0 if some are, null if none ever will be.
CREATE OR REPLACE FUNCTION notify.next_due(of_enterprise text DEFAULT NULL) RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := next_due.of_enterprise;
    due timestamptz;
BEGIN
    PERFORM FROM notify.ent_notification n
    WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
      AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
    ORDER BY n.enterprise_id LIMIT 1;
    IF FOUND THEN
        RETURN 0;
    END IF;
    due := least(
        (SELECT n.scheduled_for
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
           AND n.scheduled_for IS NOT NULL
           AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
         ORDER BY n.scheduled_for LIMIT 1),
        (SELECT n.claimed_until
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL
           AND (wanted IS NULL OR n.enterprise_id = wanted)
         ORDER BY n.claimed_until LIMIT 1));
    RETURN CASE WHEN due <= now() THEN 0
                WHEN due < 'infinity' THEN extract(epoch FROM due - now()) END;
END $$;

SELECT notify.xnovu_close();

DO $$
DECLARE
    allowed text;
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL
       AND to_regrole('service_role') IS NOT NULL THEN
        ALTER TABLE notify.xnovu_enterprise ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON notify.xnovu_enterprise FROM anon, authenticated;
        GRANT SELECT, INSERT, UPDATE, DELETE ON notify.xnovu_enterprise TO service_role;

        -- Users do not arm what they schedule.
        SELECT pg_get_expr(polwithcheck, polrelid) INTO allowed FROM pg_catalog.pg_policy
        WHERE polrelid = 'notify.ent_notification'::regclass AND polname = 'xnovu_insert';
        IF strpos(allowed, 'armed_for') = 0 THEN
            EXECUTE format('ALTER POLICY xnovu_insert ON notify.ent_notification'
                           ' WITH CHECK (%s AND armed_for IS NULL)', allowed);
        END IF;
    END IF;
END $$;
