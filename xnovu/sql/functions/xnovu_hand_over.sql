DROP FUNCTION IF EXISTS notify.xnovu_hand_over(jsonb, text);

-- The rows of the claims `tokens` are on their way. Those of claims whose worker has died before that are due again, and
-- of claims whose answer was `lost`; of those that keep to one enterprise, where the caller does.
CREATE OR REPLACE FUNCTION notify.xnovu_hand_over(tokens jsonb, of_enterprise text, lost jsonb DEFAULT '[]') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET jit = off AS $$
DECLARE
    dead uuid[];
BEGIN
    IF tokens <> '[]' THEN
        DELETE FROM notify.xnovu_claim c WHERE c.token::text IN (SELECT jsonb_array_elements_text(tokens));
    END IF;
    IF lost <> '[]' THEN
        UPDATE notify.xnovu_claim c SET until = now() WHERE c.token::text IN (SELECT jsonb_array_elements_text(lost));
    END IF;
    SELECT array_agg(c.token) INTO dead FROM (
        SELECT c.token FROM notify.xnovu_claim c
        WHERE c.until <= now() AND (xnovu_hand_over.of_enterprise IS NULL OR c.of_enterprise = xnovu_hand_over.of_enterprise)
        FOR NO KEY UPDATE SKIP LOCKED) AS c;
    IF dead IS NOT NULL THEN
        PERFORM notify.xnovu_change('due', ARRAY(
            SELECT ROW(m.id, m.enterprise_id::text, m.claimed_until, NULL)::notify.xnovu_pick
            FROM notify.ent_notification m
            WHERE (m.notification_status = 'PROCESSING'
                   OR m.notification_status = 'RETRACTED' AND m.claimed_until IS NOT NULL)
              AND m.claimed_until > now() AND m.claim_token = ANY (dead)
              AND NOT notify.xnovu_is_aside(m.id, m.enterprise_id::text)
            ORDER BY m.id FOR NO KEY UPDATE SKIP LOCKED));
        -- A row that was locked just now comes next time.
        DELETE FROM notify.xnovu_claim c WHERE c.token = ANY (dead) AND NOT EXISTS (
            SELECT FROM notify.ent_notification n
            WHERE (n.notification_status = 'PROCESSING'
                   OR n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL)
              AND n.claimed_until > now() AND n.claim_token = c.token
              AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text));
    END IF;
END $$;
