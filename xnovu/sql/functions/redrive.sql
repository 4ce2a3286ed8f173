DROP FUNCTION IF EXISTS notify.redrive(jsonb);
DROP FUNCTION IF EXISTS notify.redrive(jsonb, text);

-- Send failed notifications again, as a new generation under a new name at the provider. Keyed by
-- generation, so asking twice does it once. A key may bring a payload to send instead. `who` is the
-- audit's actor. Returns those it changed, as they are now.
CREATE OR REPLACE FUNCTION notify.redrive(keys jsonb, who text DEFAULT NULL, patience text DEFAULT '2s')
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
    PERFORM set_config('xnovu.actor', coalesce(nullif(redrive.who, ''), nullif(caller, ''), 'redrive'), true);
    RETURN QUERY
    UPDATE notify.ent_notification n
    SET notification_status = 'PENDING', generation = n.generation + 1, claims = 0, claimed_until = NULL,
        transaction_id = notify.transaction_id(n.enterprise_id::text, n.id, n.generation::int + 1),
        payload = CASE WHEN key.payload IS NULL THEN n.payload ELSE (jsonb_populate_record(
            NULL::notify.ent_notification, jsonb_build_object('payload', key.payload))).payload END,
        processed_at = NULL, error_details = NULL, updated_at = now()
    FROM (SELECT m.id, m.enterprise_id, k.payload FROM jsonb_to_recordset(redrive.keys)
              AS k (id bigint, enterprise_id text, generation int, payload jsonb)
          JOIN notify.ent_notification m ON m.id = k.id AND m.enterprise_id::text = k.enterprise_id
          WHERE m.generation = k.generation AND coalesce(m.notification_status = 'FAILED', false)
          ORDER BY m.id FOR NO KEY UPDATE OF m) AS key
    WHERE n.id = key.id AND n.enterprise_id = key.enterprise_id
    RETURNING n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
              n.transaction_id::text, 'FAILED';
    PERFORM set_config('xnovu.actor', caller, true);
END $$;
