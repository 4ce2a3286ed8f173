-- Messages of a kind that are kept, `most` of them from number `first` on, in order; of one enterprise, of one stage's dead
-- letters, from `since` on and before `until`, where these are given. The body is in base64.
CREATE OR REPLACE FUNCTION notify.kept_messages(
    kind text, most int, first bigint DEFAULT NULL, of_enterprise text DEFAULT NULL, of_stage text DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE (number bigint, published_at timestamptz, enterprise_id text, stage text, headers text, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    SELECT t.id, t.published_at, t.enterprise_id, t.stage, t.headers::text, encode(t.body, 'base64')
    FROM notify.xnovu_message t
    WHERE t.kind = kept_messages.kind AND t.id >= coalesce(kept_messages.first, 0)
      AND (kept_messages.of_enterprise IS NULL OR t.enterprise_id = kept_messages.of_enterprise)
      AND (kept_messages.of_stage IS NULL OR t.stage = kept_messages.of_stage)
      AND (kept_messages.since IS NULL OR t.published_at >= kept_messages.since)
      AND (kept_messages.until IS NULL OR t.published_at < kept_messages.until)
    ORDER BY t.id LIMIT kept_messages.most;
END $$;
