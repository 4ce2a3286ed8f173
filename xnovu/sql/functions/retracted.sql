DROP FUNCTION IF EXISTS notify.retracted(jsonb);

-- Only stages of version 0.1 call this, while the next version takes over.
-- Where retracted rows stand, each under its claim, which is kept for `hold_seconds`: what they were, the
-- seconds since a stage last had them in hand to send, and the outcome where it is known.
CREATE OR REPLACE FUNCTION notify.retracted(keys jsonb, hold_seconds double precision DEFAULT 120)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int,
               previous text, quiet double precision, outcome text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    held timestamptz := now() + make_interval(secs => retracted.hold_seconds);
BEGIN
    PERFORM notify.xnovu_refuse_users();
    UPDATE notify.ent_notification n
    SET claimed_until = held
    FROM (SELECT * FROM jsonb_to_recordset(retracted.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.notification_status = 'RETRACTED'
      AND n.generation = key.generation AND n.claims = key.claims
      AND n.claimed_until < held;

    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims, stood.previous,
           extract(epoch FROM now() - stood.quiet_since)::double precision, n.retraction_outcome::text
    FROM jsonb_to_recordset(retracted.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    CROSS JOIN LATERAL notify.xnovu_stood(n) AS stood
    WHERE n.notification_status = 'RETRACTED'
      AND n.generation = key.generation AND n.claims = key.claims;
END $$;
