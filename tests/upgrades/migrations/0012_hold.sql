-- How long a claim is kept for what is about to be sent follows from how long the provider needs to
-- show what it has accepted: who asks says it.

DROP FUNCTION IF EXISTS notify.still_wanted(jsonb);

-- The keys that are still to be sent: under this very claim, not expired. A claim that is about to
-- lapse is kept for `hold_seconds`: else another one could begin while these are being sent, and look
-- at the provider for them before it shows them. Longer, too, than any of them waits for its retry.
CREATE OR REPLACE FUNCTION notify.still_wanted(keys jsonb, hold_seconds double precision DEFAULT 120)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    held timestamptz := now() + make_interval(secs => still_wanted.hold_seconds);
BEGIN
    UPDATE notify.ent_notification n
    SET claimed_until = held
    FROM (SELECT * FROM jsonb_to_recordset(still_wanted.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.notification_status = 'PROCESSING'
      AND n.generation = key.generation AND n.claims = key.claims
      AND n.claimed_until < held
      AND (n.expires_at IS NULL OR n.expires_at > now());

    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims
    FROM jsonb_to_recordset(still_wanted.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    WHERE n.notification_status = 'PROCESSING'
      AND n.generation = key.generation AND n.claims = key.claims
      AND (n.expires_at IS NULL OR n.expires_at > now());
END $$;

SELECT notify.xnovu_close();
