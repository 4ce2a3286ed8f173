-- A claim whose answer was lost is found again by its token; a claim can keep to one enterprise; and
-- what has failed can be listed.

ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS claim_token uuid;

COMMENT ON COLUMN notify.ent_notification.claim_token IS
    'Which call claimed it: asked again after a lost answer, that call has its rows back.';

-- One enterprise's rows that are due, and those that failed: as cheap among many as alone.
CREATE INDEX IF NOT EXISTS ent_notification_xnovu_due_of_enterprise ON notify.ent_notification
    (enterprise_id, (coalesce(scheduled_for, created_at, '-infinity')), id)
    WHERE notification_status = 'PENDING';

CREATE INDEX IF NOT EXISTS ent_notification_xnovu_failed ON notify.ent_notification (enterprise_id, id)
    WHERE notification_status = 'FAILED';

DROP FUNCTION IF EXISTS notify.claim(int, double precision);
DROP FUNCTION IF EXISTS notify.next_due();
DROP FUNCTION IF EXISTS notify.history(bigint);

-- Take up to `max_rows` due rows for `lease_seconds`, those whose claim has lapsed first; of one
-- enterprise where `of_enterprise` says so. Skips what others are taking at this moment. Planned anew
-- each time, and only ever along the indexes.
CREATE OR REPLACE FUNCTION notify.claim(max_rows int, lease_seconds double precision,
                             token uuid DEFAULT NULL, of_enterprise text DEFAULT NULL)
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
BEGIN
    PERFORM set_config('xnovu.actor', 'ingest', true);
    RETURN QUERY
    WITH lapsed AS (
        SELECT n.id, n.enterprise_id, n.claimed_until AS due
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.claimed_until <= now()
          AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
        ORDER BY n.claimed_until
        LIMIT claim.max_rows
        FOR UPDATE SKIP LOCKED
    ), pending AS (
        SELECT n.id, n.enterprise_id, coalesce(n.scheduled_for, n.created_at, '-infinity') AS due
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PENDING' AND n.enterprise_id IS NOT NULL
          AND (wanted IS NULL OR n.enterprise_id = wanted)
          AND coalesce(n.scheduled_for, n.created_at, '-infinity') <= now()
        ORDER BY coalesce(n.scheduled_for, n.created_at, '-infinity'), n.id
        LIMIT claim.max_rows - (SELECT count(*) FROM lapsed)
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE notify.ent_notification n
        SET notification_status = 'PROCESSING',
            claims = n.claims + 1,
            claimed_until = now() + make_interval(secs => claim.lease_seconds),
            claim_token = claim.token,
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

-- What a call with this token has claimed, while the claim holds: what its lost answer said.
CREATE OR REPLACE FUNCTION notify.claimed(token uuid)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           n.transaction_id::text, notify.xnovu_deadline(n.expires_at), n.claims > 1
    FROM notify.ent_notification n
    WHERE n.notification_status = 'PROCESSING' AND n.claimed_until > now()
      AND n.claim_token = claimed.token
    ORDER BY n.claimed_until, n.id;
END $$;

-- Seconds until the next row is due (of one enterprise); 0 if some are, null if none ever will be.
CREATE OR REPLACE FUNCTION notify.next_due(of_enterprise text DEFAULT NULL) RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := next_due.of_enterprise;
    due timestamptz := least(
        (SELECT coalesce(n.scheduled_for, n.created_at, '-infinity')
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PENDING' AND n.enterprise_id IS NOT NULL
           AND (wanted IS NULL OR n.enterprise_id = wanted)
         ORDER BY coalesce(n.scheduled_for, n.created_at, '-infinity'), n.id LIMIT 1),
        (SELECT n.claimed_until
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL
           AND (wanted IS NULL OR n.enterprise_id = wanted)
         ORDER BY n.claimed_until LIMIT 1));
BEGIN
    RETURN CASE WHEN due <= now() THEN 0
                WHEN due < 'infinity' THEN extract(epoch FROM due - now()) END;
END $$;

-- One notification with all its columns, its workflow, and its transitions in order.
CREATE OR REPLACE FUNCTION notify.history(notification_id bigint, of_enterprise text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'notification', to_jsonb(n),
            'workflow', (SELECT to_jsonb(w) FROM notify.ent_notification_workflow w
                         WHERE w.enterprise_id = n.enterprise_id
                           AND notify.xnovu_reference(w) = n.notification_workflow_id
                         ORDER BY coalesce(w.deactivated, false), w.version DESC NULLS LAST LIMIT 1),
            'transitions', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.id), '[]')
                            FROM notify.ent_notification_audit a
                            WHERE a.notification_id = n.id AND a.enterprise_id = n.enterprise_id))
        FROM notify.ent_notification n
        WHERE n.id = history.notification_id
          AND (history.of_enterprise IS NULL OR n.enterprise_id::text = history.of_enterprise));
END $$;

-- Failed notifications, the first to fail first: of one enterprise, with one error code, from then
-- and until then, where asked for. `keys` of notify.redrive.
CREATE OR REPLACE FUNCTION notify.failed(max_rows int, of_enterprise text DEFAULT NULL, of_code text DEFAULT NULL,
                              since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, code text, at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := failed.of_enterprise;
BEGIN
    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           n.error_details::jsonb ->> 'code', coalesce(n.processed_at, n.updated_at)::timestamptz
    FROM notify.ent_notification n
    WHERE n.notification_status = 'FAILED' AND n.enterprise_id IS NOT NULL
      AND (wanted IS NULL OR n.enterprise_id = wanted)
      AND (failed.of_code IS NULL OR n.error_details::jsonb ->> 'code' = failed.of_code)
      AND (failed.since IS NULL OR coalesce(n.processed_at, n.updated_at) >= failed.since)
      AND (failed.until IS NULL OR coalesce(n.processed_at, n.updated_at) < failed.until)
    ORDER BY coalesce(n.processed_at, n.updated_at), n.id
    LIMIT failed.max_rows;
END $$;

-- Which migration this is, and whether row-level security hides the table from who asks.
CREATE OR REPLACE FUNCTION notify.state() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'version', (SELECT max(version) FROM notify.xnovu_migration),
        'hidden', row_security_active('notify.ent_notification'), 'role', current_user)
$$;

DO $$
BEGIN
    IF to_regrole('service_role') IS NOT NULL THEN
        GRANT SELECT ON notify.xnovu_migration TO service_role;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notify TO service_role;
    END IF;
END $$;
