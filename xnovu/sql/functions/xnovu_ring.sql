DROP FUNCTION IF EXISTS notify.xnovu_ring;

-- Enterprises that have something ready, from the one after `after` round to it, `most` at the most. `none_aside`: no row
-- is set aside, so that none is looked for.
CREATE OR REPLACE FUNCTION notify.xnovu_ring(
    after notify.ent_notification.enterprise_id%TYPE, most int, none_aside boolean DEFAULT false)
RETURNS TABLE (enterprise_id notify.ent_notification.enterprise_id%TYPE, place int)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
    WITH RECURSIVE ring (enterprise_id, place, round) AS (
        (SELECT * FROM (
            (SELECT n.enterprise_id, 1, xnovu_ring.after IS NULL FROM notify.ent_notification n
             WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
               AND n.enterprise_id IS NOT NULL AND n.enterprise_id > xnovu_ring.after
               AND n.unpublished IS NULL
               AND (xnovu_ring.none_aside OR NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text))
             ORDER BY n.enterprise_id LIMIT 1)
            UNION ALL
            (SELECT n.enterprise_id, 1, true FROM notify.ent_notification n
             WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
               AND n.enterprise_id IS NOT NULL
               AND n.unpublished IS NULL
               AND (xnovu_ring.none_aside OR NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text))
             ORDER BY n.enterprise_id LIMIT 1)) AS first LIMIT 1)
        UNION ALL
        SELECT next.* FROM ring, LATERAL (
            SELECT * FROM (
                (SELECT n.enterprise_id, ring.place + 1, ring.round FROM notify.ent_notification n
                 WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL AND n.enterprise_id > ring.enterprise_id
                   AND n.unpublished IS NULL
                   AND (xnovu_ring.none_aside OR NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text))
                 ORDER BY n.enterprise_id LIMIT 1)
                UNION ALL
                (SELECT n.enterprise_id, ring.place + 1, true FROM notify.ent_notification n
                 WHERE NOT ring.round
                   AND n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL
                   AND n.unpublished IS NULL
                   AND (xnovu_ring.none_aside OR NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text))
                 ORDER BY n.enterprise_id LIMIT 1)) AS either LIMIT 1) AS next
        WHERE ring.place < xnovu_ring.most
          AND (NOT next.round OR xnovu_ring.after IS NULL OR next.enterprise_id <= xnovu_ring.after))
    SELECT ring.enterprise_id, ring.place FROM ring
$$;
