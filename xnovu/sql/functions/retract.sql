DROP FUNCTION IF EXISTS notify.retract(jsonb, text);

-- Take notifications back, wherever they stand and in whichever generation. Returns those it changed.
CREATE OR REPLACE FUNCTION notify.retract(keys jsonb, reason text DEFAULT NULL, patience text DEFAULT '2s')
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text, previous text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET lock_timeout = '2s'
SET jit = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM set_config('lock_timeout', patience, true);
    PERFORM set_config('xnovu.actor', coalesce(nullif(caller, ''), 'retract'), true);
    RETURN QUERY
    WITH held AS (  -- locked first, so that `previous` is what it really was
        SELECT n.id, n.enterprise_id, n.notification_status::text AS previous
        FROM (SELECT DISTINCT k.id, k.enterprise_id FROM jsonb_to_recordset(retract.keys)
                  AS k (id bigint, enterprise_id text) ORDER BY k.id) AS key
        JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
        WHERE n.notification_status IN ('PENDING', 'PROCESSING', 'SENT', 'FAILED')
        FOR NO KEY UPDATE OF n
    )
    UPDATE notify.ent_notification n
    SET notification_status = 'RETRACTED', retracted_at = now(), retraction_reason = retract.reason,
        claimed_until = NULL, updated_at = now()
    FROM held WHERE n.id = held.id AND n.enterprise_id = held.enterprise_id
    RETURNING n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
              n.transaction_id::text, held.previous;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;
