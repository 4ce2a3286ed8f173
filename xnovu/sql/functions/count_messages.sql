-- How many messages notify.kept_messages would show, and the number of the last one.
CREATE OR REPLACE FUNCTION notify.count_messages(
    kind text, first bigint DEFAULT NULL, of_enterprise text DEFAULT NULL, of_stage text DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE (messages bigint, last bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    SELECT count(*), coalesce(max(t.id), 0) FROM notify.xnovu_message t
    WHERE t.kind = count_messages.kind AND t.id >= coalesce(count_messages.first, 0)
      AND (count_messages.of_enterprise IS NULL OR t.enterprise_id = count_messages.of_enterprise)
      AND (count_messages.of_stage IS NULL OR t.stage = count_messages.of_stage)
      AND (count_messages.since IS NULL OR t.published_at >= count_messages.since)
      AND (count_messages.until IS NULL OR t.published_at < count_messages.until);
END $$;
