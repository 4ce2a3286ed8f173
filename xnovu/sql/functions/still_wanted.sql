DROP FUNCTION IF EXISTS notify.still_wanted(jsonb);
DROP FUNCTION IF EXISTS notify.still_wanted(jsonb, double precision);

-- Only stages of version 0.1 call this, while the next version takes over.
-- The keys that are still to be sent: under this very claim, not expired. A claim that is about to
-- lapse is kept for `hold_seconds`: else another one could begin while these are being sent, and look
-- at the provider for them before it shows them. Longer, too, than any of them waits for its retry.
-- For `alone_seconds` nobody else is given them; those that somebody else was given are left out. With
-- `tokens` of calls whose answers were lost, what those were given is given again.
CREATE OR REPLACE FUNCTION notify.still_wanted(keys jsonb, hold_seconds double precision DEFAULT 120,
                                    alone_seconds double precision DEFAULT 0, tokens jsonb DEFAULT '[]')
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET jit = off AS $$
#variable_conflict use_column
DECLARE
    held timestamptz := now() + make_interval(secs => still_wanted.hold_seconds);
    wanted jsonb;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    UPDATE notify.ent_notification n
    SET claimed_until = held
    FROM (SELECT * FROM jsonb_to_recordset(still_wanted.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.notification_status = 'PROCESSING'
      AND n.generation = key.generation AND n.claims = key.claims
      AND n.claimed_until < held
      AND (n.expires_at IS NULL OR n.expires_at > now());

    wanted := (
        SELECT jsonb_agg(key)
        FROM jsonb_to_recordset(still_wanted.keys)
            AS key (id bigint, enterprise_id text, generation int, claims int)
        JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
        WHERE n.notification_status = 'PROCESSING'
          AND n.generation = key.generation AND n.claims = key.claims
          AND (n.expires_at IS NULL OR n.expires_at > now()));

    IF still_wanted.alone_seconds > 0 THEN
        wanted := (SELECT jsonb_agg(key)
                   FROM jsonb_to_recordset(wanted) AS key (id bigint, enterprise_id text, generation int, claims int)
                   JOIN notify.xnovu_take_up(wanted, still_wanted.alone_seconds, still_wanted.tokens)
                       AS ours USING (id, enterprise_id));
    END IF;

    -- What was retracted meanwhile may be said to be stopped; what is from now on finds the records
    -- (notify.begin_retraction).
    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims
    FROM jsonb_to_recordset(wanted) AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    WHERE n.notification_status = 'PROCESSING' AND n.generation = key.generation AND n.claims = key.claims;
END $$;
