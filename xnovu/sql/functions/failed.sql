-- Failed notifications, the first to fail first: of one enterprise, with one error code, from then
-- and until then, where asked for. `keys` of notify.redrive.
CREATE OR REPLACE FUNCTION notify.failed(max_rows int, of_enterprise text DEFAULT NULL, of_code text DEFAULT NULL,
                              since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, code text, at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET jit = off AS $$
#variable_conflict use_column
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := failed.of_enterprise;
BEGIN
    PERFORM notify.xnovu_refuse_users();
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
