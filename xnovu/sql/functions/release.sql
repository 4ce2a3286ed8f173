-- Give claimed rows back at once, retractions among them. `keys`: [{id, enterprise_id, generation, claims}, …], as
-- of all functions that take keys.
CREATE OR REPLACE FUNCTION notify.release(keys jsonb) RETURNS TABLE (id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE notify.ent_notification n
    SET claimed_until = now(), updated_at = now()
    FROM (SELECT * FROM jsonb_to_recordset(release.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND (n.notification_status = 'PROCESSING'
           OR n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL)
      AND n.generation = key.generation AND n.claims = key.claims
    RETURNING n.id::bigint;
END $$;
