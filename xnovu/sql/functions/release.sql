-- Give claimed rows back at once, retractions among them. `keys`: [{id, enterprise_id, generation, claims}, …], as
-- of all functions that take keys. One that somebody has locked is left out: its claim lapses.
CREATE OR REPLACE FUNCTION notify.release(keys jsonb) RETURNS TABLE (id bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    UPDATE notify.ent_notification n
    SET claimed_until = now(), updated_at = now()
    FROM (SELECT m.id, m.enterprise_id FROM jsonb_to_recordset(release.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int)
          JOIN notify.ent_notification m ON m.id = k.id AND m.enterprise_id::text = k.enterprise_id
          WHERE (coalesce(m.notification_status = 'PROCESSING', false)
                 OR m.notification_status = 'RETRACTED' AND coalesce(m.claimed_until, '-infinity') > '-infinity')
            AND m.generation = k.generation AND m.claims = k.claims
          ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED) AS mine
    WHERE n.id = mine.id AND n.enterprise_id = mine.enterprise_id
    RETURNING n.id::bigint;
END $$;
