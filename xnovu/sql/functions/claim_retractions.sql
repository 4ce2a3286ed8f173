DROP FUNCTION IF EXISTS notify.claim_retractions(int, double precision, uuid, text, boolean);
DROP FUNCTION IF EXISTS notify.claim_retractions(int, double precision, uuid, text, boolean, double precision, jsonb);

-- Take up to `max_rows` retractions that are to be told, for `lease_seconds`; of one enterprise where
-- `of_enterprise` says so. `again` with the token of a call whose answer was lost: what that has taken.
-- `handover_seconds`, `handed_over` and `lost` as in notify.claim; `again` is asked by stages of 0.1 alone.
CREATE OR REPLACE FUNCTION notify.claim_retractions(max_rows int, lease_seconds double precision, token uuid,
                                         of_enterprise text DEFAULT NULL, again boolean DEFAULT false,
                                         handover_seconds double precision DEFAULT NULL,
                                         handed_over jsonb DEFAULT '[]', lost jsonb DEFAULT '[]')
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text, recipients int)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := claim_retractions.of_enterprise;
BEGIN
    IF claim_retractions.handed_over <> '[]' OR claim_retractions.lost <> '[]' THEN
        PERFORM notify.xnovu_hand_over(
            claim_retractions.handed_over, claim_retractions.of_enterprise, claim_retractions.lost);
    END IF;
    IF claim_retractions.again THEN
        RETURN QUERY
        SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
               coalesce(n.transaction_id, notify.xnovu_transaction_id(n))::text,
               coalesce(cardinality(n.recipients), 0)
        FROM notify.ent_notification n
        WHERE n.notification_status = 'RETRACTED' AND n.claimed_until > now()
          AND n.claim_token = claim_retractions.token
        ORDER BY n.claimed_until, n.id;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    RETURN QUERY
    WITH due AS (
        SELECT n.id, n.enterprise_id, n.claimed_until AS since
        FROM notify.ent_notification n
        WHERE n.notification_status = 'RETRACTED' AND n.claimed_until <= now()
          AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
        ORDER BY n.claimed_until
        LIMIT claim_retractions.max_rows
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE notify.ent_notification n
        SET claims = n.claims + 1,
            claimed_until = now() + make_interval(secs => claim_retractions.lease_seconds),
            claim_token = claim_retractions.token
        FROM due WHERE n.id = due.id AND n.enterprise_id = due.enterprise_id
        RETURNING n.id, n.enterprise_id, n.generation, n.claims,
                  coalesce(n.transaction_id, notify.xnovu_transaction_id(n)) AS transaction_id,
                  n.recipients, due.since
    )
    SELECT c.id::bigint, c.enterprise_id::text, c.generation::int, c.claims::int, c.transaction_id::text,
           coalesce(cardinality(c.recipients), 0)
    FROM claimed c ORDER BY c.since, c.id;
    IF FOUND THEN
        PERFORM notify.xnovu_in_hand(
            claim_retractions.token, claim_retractions.of_enterprise, claim_retractions.handover_seconds);
    END IF;
END $$;
