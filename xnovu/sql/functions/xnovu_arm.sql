-- Make ready what has come due, of one enterprise where `of_enterprise` says so: the first first, and where that is more
-- than can be made ready at once, some of everybody's.
CREATE OR REPLACE FUNCTION notify.xnovu_arm(of_enterprise notify.ent_notification.enterprise_id%TYPE) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    most constant int := 500;
    each constant int := 20;
    picks notify.xnovu_pick[];
    more notify.xnovu_pick[];
BEGIN
    picks := ARRAY(
        SELECT ROW(n.id, n.enterprise_id::text, NULL, NULL)::notify.xnovu_pick
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
          AND n.scheduled_for <= now() AND n.enterprise_id IS NOT NULL AND n.unpublished IS NULL
          AND (of_enterprise IS NULL OR n.enterprise_id = of_enterprise)
          AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
        ORDER BY n.scheduled_for LIMIT most
        FOR NO KEY UPDATE SKIP LOCKED);
    IF cardinality(picks) = 0 THEN  -- a statement that changes nothing would still wake the audit
        RETURN;
    END IF;
    IF cardinality(picks) = most AND of_enterprise IS NULL THEN
        more := ARRAY(
            WITH RECURSIVE ring (enterprise_id, due) AS (
                (SELECT n.enterprise_id, n.scheduled_for <= now() FROM notify.ent_notification n
                 WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
                   AND n.scheduled_for IS NOT NULL AND n.enterprise_id IS NOT NULL AND n.unpublished IS NULL
                 ORDER BY n.enterprise_id, n.scheduled_for LIMIT 1)
                UNION ALL
                SELECT next.* FROM ring, LATERAL (
                    SELECT n.enterprise_id, n.scheduled_for <= now() FROM notify.ent_notification n
                    WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
                      AND n.scheduled_for IS NOT NULL AND n.enterprise_id > ring.enterprise_id AND n.unpublished IS NULL
                    ORDER BY n.enterprise_id, n.scheduled_for LIMIT 1) AS next)
            SELECT row.pick FROM ring, LATERAL (
                SELECT ROW(n.id, n.enterprise_id::text, NULL, NULL)::notify.xnovu_pick AS pick
                FROM notify.ent_notification n
                WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
                  AND n.scheduled_for <= now() AND n.enterprise_id IS NOT NULL AND n.unpublished IS NULL
                  AND n.enterprise_id = ring.enterprise_id
                  AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
                ORDER BY n.scheduled_for LIMIT each
                FOR NO KEY UPDATE SKIP LOCKED) AS row
            WHERE ring.due);
    END IF;
    PERFORM notify.xnovu_change('arm', picks || more);
END $$;
