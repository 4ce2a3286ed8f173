-- Whose turn it is: those that have something ready and may have some of it, from the one after `after`, up
-- to `most` and one more; or the one that is `wanted`; of which nothing is PROCESSING where `idle_only` says so.
-- `choosy` are those of which some workflow is limited. By their names as texts: PL/pgSQL has no arrays of a
-- column's type before Postgres 17.
DROP FUNCTION IF EXISTS notify.xnovu_line;
CREATE OR REPLACE FUNCTION notify.xnovu_line(
    after notify.ent_notification.enterprise_id%TYPE, wanted notify.ent_notification.enterprise_id%TYPE, most int,
    idle_only boolean, none_aside boolean)
RETURNS TABLE (enterprise_id text, place int, weight int, allowed int, choosy boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    limited constant int := (SELECT count(*) FROM (
        SELECT FROM notify.xnovu_enterprise e WHERE e.concurrency IS NOT NULL OR e.rate IS NOT NULL
        LIMIT 10000) AS all_of_them);
    some_choosy constant boolean := EXISTS (
        SELECT FROM notify.ent_notification_workflow w WHERE w.concurrency IS NOT NULL);
    busy constant text[] := ARRAY(
        SELECT DISTINCT n.enterprise_id::text FROM notify.ent_notification n
        WHERE idle_only AND n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL);
    ring text[];
BEGIN
    IF wanted IS NULL THEN
        ring := ARRAY(SELECT r.enterprise_id::text
                      FROM notify.xnovu_ring(after, most + 1 + limited + cardinality(busy), none_aside) AS r ORDER BY r.place);
    ELSE
        ring := ARRAY[wanted::text];
    END IF;
    IF idle_only THEN
        ring := ARRAY(SELECT r.enterprise_id FROM unnest(ring) WITH ORDINALITY AS r (enterprise_id, place)
                      WHERE r.enterprise_id <> ALL (busy) ORDER BY r.place LIMIT most + 1 + limited);
    END IF;
    IF limited = 0 AND NOT some_choosy THEN
        RETURN QUERY
        SELECT r.enterprise_id, r.place::int, coalesce(e.weight, 1), NULL::int, false
        FROM unnest(ring) WITH ORDINALITY AS r (enterprise_id, place)
        LEFT JOIN notify.xnovu_enterprise e ON e.enterprise_id = r.enterprise_id;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.enterprise_id, r.place::int, coalesce(e.weight, 1), a.allowed,
           EXISTS (SELECT FROM notify.ent_notification_workflow w
                   WHERE w.enterprise_id = notify.xnovu_enterprise_of(r.enterprise_id) AND w.concurrency IS NOT NULL)
    FROM unnest(ring) WITH ORDINALITY AS r (enterprise_id, place)
    LEFT JOIN notify.xnovu_enterprise e ON e.enterprise_id = r.enterprise_id
    LEFT JOIN notify.xnovu_allowed(ring) AS a ON a.enterprise_id = r.enterprise_id
    WHERE coalesce(a.allowed, 1) > 0
    ORDER BY r.place LIMIT most + 1;
END $$;
