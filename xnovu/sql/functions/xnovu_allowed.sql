-- How many rows each of these may have now, of those that have a limit. A limit is one claimer's at a time,
-- until it commits: for the others the enterprise has nothing meanwhile. Counted after that, so that what
-- the one before has claimed is seen.
CREATE OR REPLACE FUNCTION notify.xnovu_allowed(enterprises text[]) RETURNS TABLE (enterprise_id text, allowed int)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    mine text[];
BEGIN
    SELECT array_agg(locked.enterprise_id) INTO mine FROM (
        SELECT e.enterprise_id FROM notify.xnovu_enterprise e
        WHERE e.enterprise_id = ANY (enterprises) AND (e.concurrency IS NOT NULL OR e.rate IS NOT NULL)
        ORDER BY e.enterprise_id FOR NO KEY UPDATE SKIP LOCKED) AS locked;

    RETURN QUERY
    WITH in_hand AS MATERIALIZED (
        SELECT n.enterprise_id::text AS enterprise_id, count(*) AS rows FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND mine IS NOT NULL GROUP BY 1)
    SELECT e.enterprise_id,
           CASE WHEN e.enterprise_id = ANY (mine)
                THEN greatest(0, least(e.concurrency - coalesce(h.rows, 0), floor(notify.xnovu_tokens(e)), 1000000))
                ELSE 0 END::int
    FROM notify.xnovu_enterprise e LEFT JOIN in_hand h USING (enterprise_id)
    WHERE e.enterprise_id = ANY (enterprises) AND (e.concurrency IS NOT NULL OR e.rate IS NOT NULL);
END $$;
