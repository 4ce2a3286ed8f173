-- How much of what: an enterprise's rows at once and per second, and a workflow's rows at once. Who has no
-- limit costs nothing.

ALTER TABLE notify.xnovu_enterprise
    ADD COLUMN IF NOT EXISTS concurrency int CHECK (concurrency > 0),
    ADD COLUMN IF NOT EXISTS rate double precision CHECK (rate > 0 AND rate < 'infinity'),
    ADD COLUMN IF NOT EXISTS tokens double precision,
    ADD COLUMN IF NOT EXISTS refilled_at timestamptz;
ALTER TABLE notify.ent_notification_workflow
    ADD COLUMN IF NOT EXISTS concurrency int CHECK (concurrency > 0);

COMMENT ON COLUMN notify.xnovu_enterprise.concurrency IS 'Its rows that may be PROCESSING at once; null: any number.';
COMMENT ON COLUMN notify.xnovu_enterprise.rate IS 'Its rows that may be claimed in a second; null: any number.';
COMMENT ON COLUMN notify.xnovu_enterprise.tokens IS 'How many it might have claimed at once when it last did.';
COMMENT ON COLUMN notify.ent_notification_workflow.concurrency IS
    'The enterprise''s rows of this workflow that may be PROCESSING at once; null: any number.';

CREATE INDEX IF NOT EXISTS xnovu_enterprise_limited ON notify.xnovu_enterprise (enterprise_id)
    WHERE concurrency IS NOT NULL OR rate IS NOT NULL;
CREATE INDEX IF NOT EXISTS ent_notification_workflow_xnovu_concurrency
    ON notify.ent_notification_workflow (enterprise_id) WHERE concurrency IS NOT NULL;

-- What an enterprise with a rate may claim at this moment, a second's worth or one row at most; null without.
CREATE OR REPLACE FUNCTION notify.xnovu_tokens(e notify.xnovu_enterprise) RETURNS double precision
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(greatest(1, e.rate), coalesce(e.tokens + e.rate * extract(epoch FROM
        greatest(interval '0', clock_timestamp() - e.refilled_at)), greatest(1, e.rate)))
    WHERE e.rate IS NOT NULL
$$;

-- How many rows each of these may have now, of those that have a limit. A limit is one claimer's at a time,
-- until it commits: for the others the enterprise has nothing meanwhile. Counted after that, so that what
-- the one before has claimed is seen.
CREATE OR REPLACE FUNCTION notify.xnovu_allowed(enterprises text[]) RETURNS TABLE (enterprise_id text, allowed int)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    mine text[];
BEGIN
    SELECT array_agg(locked.enterprise_id) INTO mine FROM (
        SELECT e.enterprise_id FROM notify.xnovu_enterprise e
        WHERE e.enterprise_id = ANY (enterprises) AND (e.concurrency IS NOT NULL OR e.rate IS NOT NULL)
        ORDER BY e.enterprise_id FOR UPDATE SKIP LOCKED) AS locked;

    RETURN QUERY
    WITH in_hand AS MATERIALIZED (
        SELECT n.enterprise_id::text AS enterprise_id, count(*) AS rows FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND mine IS NOT NULL GROUP BY 1)
    SELECT e.enterprise_id,
           CASE WHEN e.enterprise_id = ANY (mine)
                THEN greatest(0, least(e.concurrency - coalesce(h.rows, 0), floor(notify.xnovu_tokens(e)), 1000000))
                ELSE 0 END::int
    FROM notify.xnovu_enterprise e LEFT JOIN in_hand h USING (enterprise_id)
    WHERE e.enterprise_id = ANY (enterprises) AND (e.concurrency IS NOT NULL OR e.rate IS NOT NULL);
END $$;

-- Whose turn it is: those that have something ready and may have some of it, from the one after `after`, up
-- to `most` and one more; or the one that is `wanted`; of which nothing is PROCESSING where `idle_only` says so.
-- `choosy` are those of which some workflow is limited.
CREATE OR REPLACE FUNCTION notify.xnovu_line(
    after notify.ent_notification.enterprise_id%TYPE, wanted notify.ent_notification.enterprise_id%TYPE, most int,
    idle_only boolean)
RETURNS TABLE (enterprise_id notify.ent_notification.enterprise_id%TYPE, place int, weight int, allowed int,
               choosy boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    limited constant int := (SELECT count(*) FROM (
        SELECT FROM notify.xnovu_enterprise e WHERE e.concurrency IS NOT NULL OR e.rate IS NOT NULL
        LIMIT 10000) AS all_of_them);
    some_choosy constant boolean := EXISTS (
        SELECT FROM notify.ent_notification_workflow w WHERE w.concurrency IS NOT NULL);
    busy constant notify.ent_notification.enterprise_id%TYPE[] := ARRAY(
        SELECT DISTINCT n.enterprise_id FROM notify.ent_notification n
        WHERE idle_only AND n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL);
    ring notify.ent_notification.enterprise_id%TYPE[];
BEGIN
    IF wanted IS NULL THEN
        ring := ARRAY(SELECT r.enterprise_id
                      FROM notify.xnovu_ring(after, most + 1 + limited + cardinality(busy)) AS r ORDER BY r.place);
    ELSE
        ring := ARRAY[wanted];
    END IF;
    IF idle_only THEN
        ring := ARRAY(SELECT r.enterprise_id FROM unnest(ring) WITH ORDINALITY AS r (enterprise_id, place)
                      WHERE r.enterprise_id <> ALL (busy) ORDER BY r.place LIMIT most + 1 + limited);
    END IF;
    IF limited = 0 AND NOT some_choosy THEN
        RETURN QUERY
        SELECT r.enterprise_id, r.place::int, coalesce(e.weight, 1), NULL::int, false
        FROM unnest(ring) WITH ORDINALITY AS r (enterprise_id, place)
        LEFT JOIN notify.xnovu_enterprise e ON e.enterprise_id = r.enterprise_id::text;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.enterprise_id, r.place::int, coalesce(e.weight, 1), a.allowed,
           EXISTS (SELECT FROM notify.ent_notification_workflow w
                   WHERE w.enterprise_id = r.enterprise_id AND w.concurrency IS NOT NULL)
    FROM unnest(ring) WITH ORDINALITY AS r (enterprise_id, place)
    LEFT JOIN notify.xnovu_enterprise e ON e.enterprise_id = r.enterprise_id::text
    LEFT JOIN notify.xnovu_allowed(ring::text[]) AS a ON a.enterprise_id = r.enterprise_id::text
    WHERE coalesce(a.allowed, 1) > 0
    ORDER BY r.place LIMIT most + 1;
END $$;

-- The next rows, `most` at the most, of an enterprise of which some workflow is limited: among its first
-- thousand, so far as its workflows may have more. A workflow's limit is one claimer's at a time, likewise;
-- and not so that rows that refer to it could not be inserted meanwhile.
CREATE OR REPLACE FUNCTION notify.xnovu_ahead(whose notify.ent_notification.enterprise_id%TYPE, most int)
RETURNS TABLE (id notify.ent_notification.id%TYPE, enterprise_id notify.ent_notification.enterprise_id%TYPE,
               rank double precision, deadline timestamptz, due timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    mine text[];
BEGIN
    SELECT array_agg(locked.reference) INTO mine FROM (
        SELECT notify.xnovu_reference(w)::text AS reference FROM notify.ent_notification_workflow w
        WHERE w.enterprise_id = whose AND w.concurrency IS NOT NULL
        FOR NO KEY UPDATE SKIP LOCKED) AS locked;

    RETURN QUERY
    WITH limited AS MATERIALIZED (
        SELECT notify.xnovu_reference(w)::text AS reference, min(w.concurrency) AS most
        FROM notify.ent_notification_workflow w
        WHERE w.enterprise_id = whose AND w.concurrency IS NOT NULL GROUP BY 1
    ), in_hand AS MATERIALIZED (
        SELECT n.notification_workflow_id::text AS reference, count(*) AS rows FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id = whose GROUP BY 1
    ), ahead AS MATERIALIZED (
        SELECT n.id, n.notification_workflow_id::text AS reference,
               CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                    THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                    ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100) AS rank,
               coalesce(n.expires_at, 'infinity') AS deadline,
               coalesce(greatest(n.scheduled_for, n.created_at), '-infinity') AS due
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
          AND n.enterprise_id IS NOT NULL AND n.enterprise_id = whose
        ORDER BY CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                      THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                      ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100),
                 coalesce(n.expires_at, 'infinity'), coalesce(greatest(n.scheduled_for, n.created_at), '-infinity'), n.id
        LIMIT 1000
    ), numbered AS (
        SELECT a.*, row_number() OVER (PARTITION BY a.reference ORDER BY a.rank, a.deadline, a.due, a.id) AS nth
        FROM ahead a
    ), free AS MATERIALIZED (
        SELECT n.id, n.rank, n.deadline, n.due
        FROM numbered n LEFT JOIN limited l USING (reference) LEFT JOIN in_hand h USING (reference)
        WHERE l.reference IS NULL OR (l.reference = ANY (mine) AND n.nth <= l.most - coalesce(h.rows, 0))
        ORDER BY n.rank, n.deadline, n.due, n.id LIMIT xnovu_ahead.most
    )
    SELECT n.id, n.enterprise_id, f.rank::double precision, f.deadline, f.due
    FROM free f JOIN notify.ent_notification n ON n.id = f.id AND n.enterprise_id = whose
    WHERE coalesce(n.notification_status = 'PENDING', false)
    FOR UPDATE OF n SKIP LOCKED;
END $$;

-- Take up to `max_rows` due rows for `lease_seconds`; of one enterprise where `of_enterprise` says so.
-- Skips what others are taking at this moment. Those whose claim has lapsed come first, but never keep all
-- places from the others. Then enterprises have their turns, from the one after `after`, in proportion to
-- their weights: all of them, or as many as there are rows to take (deficit round robin: Shreedhar and Varghese,
-- 1995). What some do not need of theirs goes to the others. It may return fewer
-- rows than there are, never none that may be had. The last row's enterprise is the next call's `after`. Where
-- `idle_only` says so, none of those are asked that have something PROCESSING. `express` are the rows of those
-- that need less than their turn while others have a whole one waiting. Planned anew each time, and only ever
-- along the indexes.
DROP FUNCTION IF EXISTS notify.claim(int, double precision, uuid, text, text);
CREATE OR REPLACE FUNCTION notify.claim(max_rows int, lease_seconds double precision, token uuid DEFAULT NULL,
                             of_enterprise text DEFAULT NULL, after text DEFAULT NULL, idle_only boolean DEFAULT false)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean, express boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
    wanted notify.ent_notification.enterprise_id%TYPE := claim.of_enterprise;
    last notify.ent_notification.enterprise_id%TYPE := claim.after;
    room constant int := claim.max_rows;
    anybody notify.ent_notification.enterprise_id%TYPE[];
    weights int[];
    allowed int[];
    choosy boolean[];
    turn int;
    served int;
    all_of_them boolean;
BEGIN
    PERFORM set_config('xnovu.actor', 'ingest', true);
    PERFORM notify.xnovu_arm(wanted);
    SELECT array_agg(l.enterprise_id ORDER BY l.place), array_agg(l.weight ORDER BY l.place),
           array_agg(l.allowed ORDER BY l.place), array_agg(l.choosy ORDER BY l.place)
    INTO anybody, weights, allowed, choosy
    FROM notify.xnovu_line(last, wanted, room, claim.idle_only) AS l;
    turn := greatest(1, claim.max_rows / (SELECT sum(w) FROM unnest(weights[:room]) AS w));
    served := (SELECT least(room, greatest(1, count(*))) FROM (
        SELECT sum(turn * w) OVER (ORDER BY place) AS needed
        FROM unnest(weights) WITH ORDINALITY AS each (w, place)) AS sums WHERE needed <= claim.max_rows);
    all_of_them := served = cardinality(anybody);
    anybody := anybody[:served];
    weights := weights[:served];
    allowed := allowed[:served];
    choosy := choosy[:served];

    RETURN QUERY
    WITH lapsed AS (
        SELECT n.id, n.enterprise_id, n.claimed_until
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.claimed_until <= now() AND NOT claim.idle_only
          AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
        ORDER BY n.claimed_until
        LIMIT claim.max_rows - CASE WHEN anybody IS NULL THEN 0 ELSE claim.max_rows / 2 END
        FOR UPDATE SKIP LOCKED
    ), ready AS MATERIALIZED (
        SELECT ring.place, ring.weight, row.*
        FROM unnest(anybody, weights, allowed, choosy) WITH ORDINALITY AS ring (enterprise_id, weight, allowed, choosy, place),
             LATERAL (
                 SELECT n.id, n.enterprise_id,
                        CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                             THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                             ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100) AS rank,
                        coalesce(n.expires_at, 'infinity') AS deadline,
                        coalesce(greatest(n.scheduled_for, n.created_at), '-infinity') AS due
                 FROM notify.ent_notification n
                 WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
                   AND n.enterprise_id IS NOT NULL AND n.enterprise_id = ring.enterprise_id AND NOT ring.choosy
                 ORDER BY CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                               THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                               ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100),
                          coalesce(n.expires_at, 'infinity'), coalesce(greatest(n.scheduled_for, n.created_at), '-infinity'), n.id
                 LIMIT least(claim.max_rows, ring.allowed, turn * ring.weight * CASE WHEN all_of_them THEN 2 ELSE 1 END)
                 FOR UPDATE SKIP LOCKED) AS row
        UNION ALL
        SELECT ring.place, ring.weight, row.*
        FROM unnest(anybody, weights, allowed, choosy) WITH ORDINALITY AS ring (enterprise_id, weight, allowed, choosy, place),
             LATERAL notify.xnovu_ahead(ring.enterprise_id,
                 least(claim.max_rows, ring.allowed, turn * ring.weight * CASE WHEN all_of_them THEN 2 ELSE 1 END)) AS row
        WHERE ring.choosy
    ), numbered AS (
        SELECT r.id, r.enterprise_id, r.place, r.weight,
               row_number() OVER (PARTITION BY r.place ORDER BY r.rank, r.deadline, r.due, r.id) AS number,
               count(*) OVER (PARTITION BY r.place) < turn * r.weight AS sated
        FROM ready r
    ), pending AS (
        SELECT n.id, n.enterprise_id, (n.number - 1) / (turn * n.weight) AS round, n.place, n.number,
               n.sated AND (claim.idle_only OR NOT (bool_and(n.sated) OVER () AND all_of_them)) AS express
        FROM numbered n
        ORDER BY round, n.place, n.number
        LIMIT least(claim.max_rows - (SELECT count(*) FROM lapsed), turn * (SELECT sum(w) FROM unnest(weights) AS w))
    ), claimed AS (
        UPDATE notify.ent_notification n
        SET notification_status = 'PROCESSING',
            claims = n.claims + 1,
            claimed_until = now() + make_interval(secs => claim.lease_seconds),
            claim_token = claim.token,
            transaction_id = notify.xnovu_transaction_id(n),
            updated_at = now()
        FROM (SELECT l.id, l.enterprise_id, l.claimed_until, 0 AS round, 0 AS place, 0 AS number, false AS express
              FROM lapsed l
              UNION ALL
              SELECT p.id, p.enterprise_id, NULL, p.round, p.place, p.number, p.express FROM pending p) AS taken
        WHERE n.id = taken.id AND n.enterprise_id = taken.enterprise_id
        RETURNING n.id, n.enterprise_id, n.generation, n.claims, n.transaction_id, n.expires_at,
                  taken.claimed_until, taken.round, taken.place, taken.number, taken.express
    ), spent AS (
        UPDATE notify.xnovu_enterprise e
        SET tokens = notify.xnovu_tokens(e) - c.rows, refilled_at = clock_timestamp()
        FROM (SELECT c.enterprise_id, count(*) AS rows FROM claimed c
              WHERE c.claimed_until IS NULL GROUP BY c.enterprise_id) AS c
        WHERE e.enterprise_id = c.enterprise_id::text AND e.rate IS NOT NULL
    )
    SELECT c.id::bigint, c.enterprise_id::text, c.generation::int, c.claims::int,
           c.transaction_id::text, notify.xnovu_deadline(c.expires_at), c.claims > 1, c.express
    FROM claimed c ORDER BY c.claimed_until, c.round, c.place, c.number, c.id;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;


-- What limits there are: of enterprises, and of their workflows (of one enterprise).
CREATE OR REPLACE FUNCTION notify.limits(of_enterprise text DEFAULT NULL)
RETURNS TABLE (enterprise_id text, workflow_key text, weight int, concurrency int, rate double precision, priority int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.enterprise_id, NULL, e.weight, e.concurrency, e.rate, NULL FROM notify.xnovu_enterprise e
    WHERE limits.of_enterprise IS NULL OR e.enterprise_id = limits.of_enterprise
    UNION ALL
    SELECT w.enterprise_id::text, w.workflow_key::text, NULL, w.concurrency, NULL, w.priority
    FROM notify.ent_notification_workflow w
    WHERE (w.concurrency IS NOT NULL OR w.priority IS NOT NULL)
      AND (limits.of_enterprise IS NULL OR w.enterprise_id::text = limits.of_enterprise)
    ORDER BY 1, 2 NULLS FIRST
$$;

-- Change what an enterprise may have: `changes` holds what is to change, null for no limit. Who then has what
-- everybody has, has no line. Returns whether it has one.
CREATE OR REPLACE FUNCTION notify.limit_enterprise(of_enterprise text, changes jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO notify.xnovu_enterprise (enterprise_id) VALUES (of_enterprise) ON CONFLICT DO NOTHING;
    UPDATE notify.xnovu_enterprise e
    SET weight = CASE WHEN changes ? 'weight' THEN coalesce((changes ->> 'weight')::int, 1) ELSE e.weight END,
        concurrency = CASE WHEN changes ? 'concurrency' THEN (changes ->> 'concurrency')::int ELSE e.concurrency END,
        rate = CASE WHEN changes ? 'rate' THEN (changes ->> 'rate')::double precision ELSE e.rate END,
        tokens = CASE WHEN changes ? 'rate' THEN NULL ELSE e.tokens END
    WHERE e.enterprise_id = of_enterprise;
    DELETE FROM notify.xnovu_enterprise e
    WHERE e.enterprise_id = of_enterprise AND e.weight = 1 AND e.concurrency IS NULL AND e.rate IS NULL;
    RETURN NOT FOUND;
END $$;

-- The same of a workflow of it, in whatever version; returns how many lines the workflow has.
CREATE OR REPLACE FUNCTION notify.limit_workflow(of_enterprise text, workflow text, changes jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed int;
BEGIN
    UPDATE notify.ent_notification_workflow w
    SET concurrency = CASE WHEN changes ? 'concurrency' THEN (changes ->> 'concurrency')::int ELSE w.concurrency END,
        priority = CASE WHEN changes ? 'priority' THEN (changes ->> 'priority')::int ELSE w.priority END
    WHERE w.enterprise_id::text = of_enterprise AND w.workflow_key::text = workflow;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

-- What a row waits for: its schedule, a limit, its turn; or that the stages have it, or what takes it back.
-- Null for what has ended. `seconds` says roughly how long, by what was claimed for its enterprise in the last
-- minute; `ahead` are rows of its enterprise that go before it, counted to a thousand, `enterprises` those that
-- have rows ready, counted to a hundred.
CREATE OR REPLACE FUNCTION notify.waiting(notification_id bigint, of_enterprise text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    n notify.ent_notification;
    e notify.xnovu_enterprise;
    w_most int;
    in_hand int;
    w_in_hand int;
    ahead int;
    pace double precision;
    told jsonb;
BEGIN
    SELECT r.* INTO n FROM notify.ent_notification r
    WHERE r.id = waiting.notification_id
      AND (waiting.of_enterprise IS NULL OR r.enterprise_id::text = waiting.of_enterprise);
    CASE
        WHEN n.notification_status = 'PROCESSING' THEN
            RETURN jsonb_build_object('for', 'stages', 'since', n.updated_at);
        WHEN n.notification_status = 'RETRACTED' AND n.retraction_outcome IS NULL THEN
            RETURN jsonb_build_object('for', 'retraction', 'since', n.retracted_at);
        WHEN n.notification_status IS DISTINCT FROM 'PENDING' THEN
            RETURN NULL;
        WHEN n.scheduled_for > now() THEN
            RETURN jsonb_build_object('for', 'schedule', 'until', n.scheduled_for,
                                      'seconds', extract(epoch FROM n.scheduled_for - now()));
        ELSE
    END CASE;

    SELECT * INTO e FROM notify.xnovu_enterprise r WHERE r.enterprise_id = n.enterprise_id::text;
    SELECT min(w.concurrency) INTO w_most FROM notify.ent_notification_workflow w
    WHERE w.enterprise_id = n.enterprise_id AND notify.xnovu_reference(w) = n.notification_workflow_id;
    SELECT count(*), count(*) FILTER (WHERE r.notification_workflow_id = n.notification_workflow_id)
    INTO in_hand, w_in_hand
    FROM notify.ent_notification r WHERE r.notification_status = 'PROCESSING' AND r.enterprise_id = n.enterprise_id;
    SELECT count(*) INTO ahead FROM (
        SELECT FROM notify.ent_notification r
        WHERE r.notification_status = 'PENDING' AND (r.scheduled_for IS NULL OR r.armed_for = r.scheduled_for)
          AND r.enterprise_id IS NOT NULL AND r.enterprise_id = n.enterprise_id
          AND (CASE WHEN isfinite(greatest(r.scheduled_for, r.created_at))
                    THEN floor(date_part('epoch', greatest(r.scheduled_for, r.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                    ELSE 0 END - 2 * least(greatest(coalesce(r.priority, 0), -100), 100),
               coalesce(r.expires_at, 'infinity'), coalesce(greatest(r.scheduled_for, r.created_at), '-infinity'), r.id)
            < (CASE WHEN isfinite(greatest(n.scheduled_for, n.created_at))
                    THEN floor(date_part('epoch', greatest(n.scheduled_for, n.created_at) - '2000-01-01Z'::timestamptz) / 3600)
                    ELSE 0 END - 2 * least(greatest(coalesce(n.priority, 0), -100), 100),
               coalesce(n.expires_at, 'infinity'), coalesce(greatest(n.scheduled_for, n.created_at), '-infinity'), n.id)
        LIMIT 1000) AS before;
    SELECT count(*) FILTER (WHERE a.enterprise_id = n.enterprise_id)
           / greatest(1, extract(epoch FROM now() - min(a.at))) INTO pace
    FROM (SELECT * FROM notify.ent_notification_audit l ORDER BY l.id DESC LIMIT 2000) AS a
    WHERE a.to_status = 'PROCESSING' AND a.at > now() - interval '1 minute';

    told := jsonb_build_object('ahead', ahead, 'seconds', (ahead + 1) / nullif(pace, 0));
    RETURN CASE
        WHEN in_hand >= e.concurrency THEN
            told || jsonb_build_object('for', 'concurrency', 'most', e.concurrency, 'in_hand', in_hand)
        WHEN w_in_hand >= w_most THEN
            told || jsonb_build_object('for', 'workflow', 'most', w_most, 'in_hand', w_in_hand)
        WHEN notify.xnovu_tokens(e) < ahead + 1 THEN
            told || jsonb_build_object('for', 'rate', 'rate', e.rate,
                                       'seconds', (ahead + 1 - notify.xnovu_tokens(e)) / e.rate)
        ELSE told || jsonb_build_object('for', 'turn', 'weight', coalesce(e.weight, 1),
                                        'enterprises', (SELECT count(*) FROM notify.xnovu_ring(NULL, 100)))
    END;
END $$;

-- As before, with the new functions.
CREATE OR REPLACE FUNCTION notify.xnovu_close() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    functions text := (
        SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'notify'::regnamespace
          AND (p.proname LIKE 'xnovu\_%' OR p.proname IN (
              'being_sent', 'claim', 'claim_retractions', 'claimed', 'enqueue', 'failed', 'history', 'let_go',
              'limit_enterprise', 'limit_workflow', 'limits', 'load', 'next_due', 'note_operation', 'overdue',
              'record', 'record_retractions', 'redrive', 'release', 'retract', 'retracted', 'state',
              'still_wanted', 'transaction_id', 'waiting')));
BEGIN
    IF to_regrole('anon') IS NULL OR to_regrole('authenticated') IS NULL
       OR to_regrole('service_role') IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, anon, authenticated', functions);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', functions);
    ALTER TABLE notify.xnovu_sending ENABLE ROW LEVEL SECURITY;
    REVOKE ALL ON notify.xnovu_sending FROM anon, authenticated;
    -- It says no more than the caller's own token does, and the policies below ask it.
    GRANT EXECUTE ON FUNCTION notify.xnovu_enterprise() TO authenticated;
END $$;

SELECT notify.xnovu_close();
