DROP FUNCTION IF EXISTS notify.claim_retractions(int, double precision, uuid, text, boolean);
DROP FUNCTION IF EXISTS notify.claim_retractions(int, double precision, uuid, text, boolean, double precision, jsonb);
DROP FUNCTION IF EXISTS notify.claim_retractions(
    int, double precision, uuid, text, boolean, double precision, jsonb, jsonb);

-- Take up to `max_rows` retractions that are to be told, for `lease_seconds`; of one enterprise where
-- `of_enterprise` says so, else of all that have some, by turns, from the one after `after` (the last row's enterprise
-- is the next call's `after`), the first first of each. `handover_seconds`, `handed_over` and `lost` as in notify.claim.
-- `again`, with the token of a call whose answer was lost, is what that has taken; stages of 0.1 alone ask so.
CREATE OR REPLACE FUNCTION notify.claim_retractions(max_rows int, lease_seconds double precision, token uuid,
                                         of_enterprise text DEFAULT NULL, again boolean DEFAULT false,
                                         handover_seconds double precision DEFAULT NULL,
                                         handed_over jsonb DEFAULT '[]', lost jsonb DEFAULT '[]', after text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text, recipients int)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := claim_retractions.of_enterprise;
    last notify.ent_notification.enterprise_id%TYPE := claim_retractions.after;
    each constant int := claim_retractions.max_rows;
    enterprises text[];
    picks notify.xnovu_pick[];
BEGIN
    PERFORM notify.xnovu_refuse_users();
    IF claim_retractions.handed_over <> '[]' OR claim_retractions.lost <> '[]' THEN
        PERFORM notify.xnovu_hand_over(
            claim_retractions.handed_over, claim_retractions.of_enterprise, claim_retractions.lost);
    END IF;
    IF claim_retractions.again THEN
        RETURN QUERY
        SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
               notify.xnovu_transaction_id(n.transaction_id::text, n.enterprise_id::text, n.id, n.generation::int)::text,
               coalesce(cardinality(n.recipients), 0)
        FROM notify.ent_notification n
        WHERE n.notification_status = 'RETRACTED' AND n.claimed_until > now()
          AND n.claim_token = claim_retractions.token
        ORDER BY n.claimed_until, n.id;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    -- One of each, until there are enough: the ring is gone round no further than that.
    SELECT array_agg(r.enterprise_id::text ORDER BY r.place),
           array_agg(ROW(r.id, r.enterprise_id::text, r.since, NULL)::notify.xnovu_pick ORDER BY r.place)
    INTO enterprises, picks
    FROM (
        WITH RECURSIVE ring (enterprise_id, place, round) AS (
            (SELECT * FROM (
                (SELECT n.enterprise_id, 1, last IS NULL FROM notify.ent_notification n
                 WHERE n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL AND n.claimed_until <= now()
                   AND n.enterprise_id > last AND wanted IS NULL
                 ORDER BY n.enterprise_id LIMIT 1)
                UNION ALL
                (SELECT n.enterprise_id, 1, true FROM notify.ent_notification n
                 WHERE n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL AND n.claimed_until <= now()
                   AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
                 ORDER BY n.enterprise_id LIMIT 1)) AS first LIMIT 1)
            UNION ALL
            SELECT next.* FROM ring, LATERAL (
                SELECT * FROM (
                    (SELECT n.enterprise_id, ring.place + 1, ring.round FROM notify.ent_notification n
                     WHERE n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL AND n.claimed_until <= now()
                       AND n.enterprise_id > ring.enterprise_id
                     ORDER BY n.enterprise_id LIMIT 1)
                    UNION ALL
                    (SELECT n.enterprise_id, ring.place + 1, true FROM notify.ent_notification n
                     WHERE n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL AND n.claimed_until <= now()
                       AND n.enterprise_id IS NOT NULL AND NOT ring.round
                     ORDER BY n.enterprise_id LIMIT 1)) AS either LIMIT 1) AS next
            WHERE wanted IS NULL AND (NOT next.round OR last IS NULL OR next.enterprise_id <= last))
        SELECT ring.place, row.*
        FROM ring, LATERAL (
            SELECT n.id, n.enterprise_id, n.claimed_until AS since
            FROM notify.ent_notification n
            WHERE n.notification_status = 'RETRACTED' AND n.claimed_until <= now()
              AND n.enterprise_id = ring.enterprise_id
              AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
            ORDER BY n.claimed_until LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS row
        LIMIT each) AS r;
    IF cardinality(picks) < each THEN  -- more of each, the first first
        SELECT array_agg(ROW(r.id, r.enterprise_id::text, r.since, NULL)::notify.xnovu_pick
                         ORDER BY r.nth, r.since, r.id)
        INTO picks
        FROM (
            SELECT row.*
            FROM unnest(enterprises) AS ring (enterprise_id), LATERAL (
                SELECT first.*, row_number() OVER (ORDER BY first.since, first.id) AS nth
                FROM (SELECT n.id, n.enterprise_id, n.claimed_until AS since
                      FROM notify.ent_notification n
                      WHERE n.notification_status = 'RETRACTED' AND n.claimed_until <= now()
                        AND n.enterprise_id = notify.xnovu_enterprise_of(ring.enterprise_id)
                        AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
                      ORDER BY n.claimed_until LIMIT 2 * each / cardinality(enterprises)
                      FOR NO KEY UPDATE SKIP LOCKED) AS first) AS row
            ORDER BY nth, since, id LIMIT each) AS r;
    END IF;
    IF picks IS NULL THEN
        RETURN;
    END IF;

    PERFORM notify.xnovu_change('retract', picks, claim_retractions.token, claim_retractions.lease_seconds);
    PERFORM notify.xnovu_back(picks, claim_retractions.token);
    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           notify.xnovu_transaction_id(n.transaction_id::text, n.enterprise_id::text, n.id, n.generation::int)::text,
           coalesce(cardinality(n.recipients), 0)
    FROM unnest(picks) WITH ORDINALITY AS p (id, enterprise_id, claimed_until, express, place)
    JOIN notify.ent_notification n ON n.id = p.id AND n.enterprise_id::text = p.enterprise_id
    WHERE coalesce(n.notification_status = 'RETRACTED', false) AND n.claim_token = claim_retractions.token
    ORDER BY p.place;
    IF FOUND THEN
        PERFORM notify.xnovu_in_hand(
            claim_retractions.token, claim_retractions.of_enterprise, claim_retractions.handover_seconds);
    END IF;
END $$;
