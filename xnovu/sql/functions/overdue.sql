-- Only stages of version 0.1 call this, while the next version takes over.
-- Those under this very claim that are past their deadline, and for how many seconds.
CREATE OR REPLACE FUNCTION notify.overdue(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, seconds double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims,
           extract(epoch FROM now() - notify.xnovu_deadline(n.expires_at))::double precision
    FROM jsonb_to_recordset(overdue.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    WHERE n.notification_status = 'PROCESSING' AND n.expires_at <= now()
      AND n.generation = key.generation AND n.claims = key.claims;
END $$;
