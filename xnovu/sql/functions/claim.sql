DROP FUNCTION IF EXISTS notify.claim(int, double precision);
DROP FUNCTION IF EXISTS notify.claim(int, double precision, uuid, text);
DROP FUNCTION IF EXISTS notify.claim(int, double precision, uuid, text, text);
DROP FUNCTION IF EXISTS notify.claim(int, double precision, uuid, text, text, boolean);
DROP FUNCTION IF EXISTS notify.claim(int, double precision, uuid, text, text, boolean, double precision, jsonb);

-- Take up to `max_rows` due rows for `lease_seconds`; of one enterprise where `of_enterprise` says so.
-- Skips what others are taking at this moment. Those whose claim has lapsed come first, but never keep all
-- places from the others. Then enterprises have their turns, from the one after `after`, in proportion to
-- their weights: all of them, or as many as there are rows to take (deficit round robin: Shreedhar and Varghese,
-- 1995). What some do not need of theirs goes to the others. It may return fewer
-- rows than there are, never none that may be had. The last row's enterprise is the next call's `after`. Where
-- `idle_only` says so, none of those are asked that have something PROCESSING. `express` are the rows of those
-- that need less than their turn while others have a whole one waiting; and of each turn, and of all together,
-- the first one in twenty (or one), where they go before the turn's last by a whole step of priority, or what
-- that is worth in age. Who says in `handed_over`, at a later call, whose rows are on their way, has their claims for
-- `handover_seconds` only until then. What a call in `lost` has taken is due again. Planned anew each time, and only ever along the indexes.
CREATE OR REPLACE FUNCTION notify.claim(max_rows int, lease_seconds double precision, token uuid DEFAULT NULL,
                             of_enterprise text DEFAULT NULL, after text DEFAULT NULL, idle_only boolean DEFAULT false,
                             handover_seconds double precision DEFAULT NULL, handed_over jsonb DEFAULT '[]',
                             lost jsonb DEFAULT '[]')
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean, express boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
    wanted notify.ent_notification.enterprise_id%TYPE := claim.of_enterprise;
    last notify.ent_notification.enterprise_id%TYPE := claim.after;
    room constant int := claim.max_rows;
    anybody text[];
    weights int[];
    allowed int[];
    choosy boolean[];
    turn int;
    served int;
    all_of_them boolean;
    picks notify.xnovu_pick[];
    none_aside constant boolean := NOT EXISTS (SELECT FROM notify.aside(1));
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM set_config('xnovu.actor', 'ingest', true);
    PERFORM notify.xnovu_hand_over(claim.handed_over, claim.of_enterprise, claim.lost);
    PERFORM notify.xnovu_arm(wanted);
    IF wanted IS NULL THEN
        PERFORM notify.xnovu_refuse_nobodys();
    END IF;
    IF NOT none_aside THEN
        PERFORM notify.xnovu_tidy_aside();
    END IF;
    SELECT array_agg(l.enterprise_id ORDER BY l.place), array_agg(l.weight ORDER BY l.place),
           array_agg(l.allowed ORDER BY l.place), array_agg(l.choosy ORDER BY l.place)
    INTO anybody, weights, allowed, choosy
    FROM notify.xnovu_line(last, wanted, room, claim.idle_only, none_aside) AS l;
    turn := greatest(1, claim.max_rows / (SELECT sum(w) FROM unnest(weights[:room]) AS w));
    served := (SELECT least(room, greatest(1, count(*))) FROM (
        SELECT sum(turn * w) OVER (ORDER BY place) AS needed
        FROM unnest(weights) WITH ORDINALITY AS each (w, place)) AS sums WHERE needed <= claim.max_rows);
    all_of_them := served = cardinality(anybody);
    anybody := anybody[:served];
    weights := weights[:served];
    allowed := allowed[:served];
    choosy := choosy[:served];

    WITH lapsed AS (
        SELECT n.id, n.enterprise_id, n.claimed_until
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.claimed_until <= now() AND NOT claim.idle_only
          AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
          AND (none_aside OR NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text))
        ORDER BY n.claimed_until
        LIMIT claim.max_rows - CASE WHEN anybody IS NULL THEN 0 ELSE claim.max_rows / 2 END
        FOR NO KEY UPDATE SKIP LOCKED
    ), ready AS MATERIALIZED (
        SELECT ring.place, ring.weight, row.*
        FROM unnest(anybody, weights, allowed, choosy) WITH ORDINALITY AS ring (enterprise_id, weight, allowed, choosy, place),
             LATERAL (
                 SELECT n.id, n.enterprise_id,
                        notify.xnovu_rank(n.scheduled_for, n.created_at, n.priority) AS rank,
                        coalesce(n.expires_at, 'infinity') AS deadline,
                        coalesce(greatest(n.scheduled_for, n.created_at), '-infinity') AS due
                 FROM notify.ent_notification n
                 WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL AND NOT ring.choosy
                   AND n.enterprise_id = notify.xnovu_enterprise_of(ring.enterprise_id) AND n.unpublished IS NULL
                   AND (none_aside OR NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text))
                 ORDER BY rank, deadline, due, n.id
                 LIMIT least(claim.max_rows, ring.allowed, turn * ring.weight * CASE WHEN all_of_them THEN 2 ELSE 1 END)
                 FOR NO KEY UPDATE SKIP LOCKED) AS row
        UNION ALL
        SELECT ring.place, ring.weight, row.*
        FROM unnest(anybody, weights, allowed, choosy) WITH ORDINALITY AS ring (enterprise_id, weight, allowed, choosy, place),
             LATERAL notify.xnovu_ahead(notify.xnovu_enterprise_of(ring.enterprise_id),
                 least(claim.max_rows, ring.allowed, turn * ring.weight * CASE WHEN all_of_them THEN 2 ELSE 1 END)) AS row
        WHERE ring.choosy
    ), numbered AS (
        SELECT r.id, r.enterprise_id, r.place, r.weight, r.rank, least(claim.max_rows, turn * r.weight) AS share,
               row_number() OVER (PARTITION BY r.place ORDER BY r.rank, r.deadline, r.due, r.id) AS number,
               count(*) OVER (PARTITION BY r.place) < least(claim.max_rows, turn * r.weight) AS sated
        FROM ready r
    ), weighed AS (
        SELECT n.*, n.number <= greatest(1, n.share / 20)
               AND max(n.rank) FILTER (WHERE n.number <= n.share) OVER (PARTITION BY n.place) - n.rank >= 2 AS urgent
        FROM numbered n
    ), pending AS (
        SELECT n.id, n.enterprise_id, (n.number - 1) / (turn * n.weight) AS round, n.place, n.number,
               n.sated AND (claim.idle_only OR NOT (bool_and(n.sated) OVER () AND all_of_them))
                   OR n.urgent AND row_number() OVER (PARTITION BY n.urgent ORDER BY n.number, n.place)
                       <= greatest(1, claim.max_rows / 20) AS express
        FROM weighed n
        ORDER BY round, n.place, n.number
        LIMIT least(claim.max_rows - (SELECT count(*) FROM lapsed), turn * (SELECT sum(w) FROM unnest(weights) AS w))
    )
    SELECT array_agg(ROW(t.id, t.enterprise_id::text, t.claimed_until, t.express)::notify.xnovu_pick
                     ORDER BY t.claimed_until, t.round, t.place, t.number, t.id)
    INTO picks
    FROM (SELECT l.id, l.enterprise_id, l.claimed_until, 0 AS round, 0 AS place, 0 AS number, false AS express
          FROM lapsed l
          UNION ALL
          SELECT p.id, p.enterprise_id, NULL, p.round, p.place, p.number, p.express FROM pending p) AS t;
    IF picks IS NULL THEN
        PERFORM set_config('xnovu.actor', caller, true);
        RETURN;
    END IF;

    PERFORM notify.xnovu_change('claim', picks, claim.token, claim.lease_seconds);
    IF NOT none_aside THEN
        PERFORM notify.xnovu_back(picks, claim.token);
    END IF;
    UPDATE notify.xnovu_enterprise e
    SET tokens = notify.xnovu_tokens(e) - c.rows, refilled_at = clock_timestamp()
    FROM (SELECT p.enterprise_id, count(*) AS rows FROM unnest(picks) AS p
          WHERE p.claimed_until IS NULL GROUP BY p.enterprise_id) AS c
    WHERE e.enterprise_id = c.enterprise_id AND e.rate IS NOT NULL;

    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int, n.transaction_id::text,
           notify.xnovu_deadline(n.expires_at), n.claims > 1, p.express
    FROM unnest(picks) WITH ORDINALITY AS p (id, enterprise_id, claimed_until, express, place)
    JOIN notify.ent_notification n ON n.id = p.id AND n.enterprise_id::text = p.enterprise_id
    WHERE coalesce(n.notification_status = 'PROCESSING', false) AND n.claim_token IS NOT DISTINCT FROM claim.token
    ORDER BY p.place;
    IF FOUND THEN
        PERFORM notify.xnovu_in_hand(claim.token, claim.of_enterprise, claim.handover_seconds);
    END IF;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;
