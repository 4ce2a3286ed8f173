-- One sender at a time. Two workers may have one message in hand: a broker that was killed, or a worker
-- that was frozen, gives it to a second one. Both would look for it at the provider in vain, and send.

-- Until when somebody may be sending a row, or what he sent may not have shown yet. Beside the table:
-- it says nothing to who follows a notification, and is gone when that has ended.
CREATE TABLE IF NOT EXISTS notify.xnovu_sending (
    id bigint NOT NULL,
    enterprise_id text NOT NULL,
    generation int NOT NULL,
    until timestamptz NOT NULL,
    token uuid NOT NULL,
    PRIMARY KEY (id, enterprise_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

COMMENT ON TABLE notify.xnovu_sending IS 'Which rows a worker may be sending at this moment, and until when.';

COMMENT ON COLUMN notify.xnovu_sending.token IS
    'Which call took it up: if its answer was lost, nothing was sent, and who asked may have it again.';

-- Let nobody else send these for so many seconds; returns those that nobody else may be sending. The
-- first of the `tokens` is this call's, the others are of calls whose answers the caller never got.
CREATE OR REPLACE FUNCTION notify.xnovu_take_up(keys jsonb, seconds double precision, tokens jsonb)
RETURNS TABLE (id bigint, enterprise_id text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO notify.xnovu_sending AS s (id, enterprise_id, generation, until, token)
    SELECT DISTINCT ON (k.id, k.enterprise_id) k.id, k.enterprise_id, k.generation,
           now() + make_interval(secs => xnovu_take_up.seconds), (xnovu_take_up.tokens ->> 0)::uuid
    FROM jsonb_to_recordset(xnovu_take_up.keys) AS k (id bigint, enterprise_id text, generation int)
    ORDER BY k.id, k.enterprise_id
    ON CONFLICT (id, enterprise_id) DO UPDATE
        SET until = excluded.until, generation = excluded.generation, token = excluded.token
        WHERE s.until <= now() OR xnovu_take_up.tokens ? s.token::text
    RETURNING s.id, s.enterprise_id
$$;

-- Of these rows, those that have ended are being sent by nobody.
CREATE OR REPLACE FUNCTION notify.xnovu_sent(keys jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    WITH ended AS (
        SELECT s.id, s.enterprise_id
        FROM jsonb_to_recordset(xnovu_sent.keys) AS k (id bigint, enterprise_id text)
        JOIN notify.ent_notification n ON n.id = k.id AND n.enterprise_id::text = k.enterprise_id
        JOIN notify.xnovu_sending s ON s.id = k.id AND s.enterprise_id = k.enterprise_id
        WHERE n.notification_status IN ('SENT', 'FAILED')
           OR n.notification_status = 'RETRACTED' AND n.retraction_outcome IS NOT NULL
        ORDER BY s.id, s.enterprise_id FOR UPDATE OF s)
    DELETE FROM notify.xnovu_sending s USING ended e WHERE s.id = e.id AND s.enterprise_id = e.enterprise_id
$$;

-- Who took them up has not sent these, or nobody can tell before `seconds` are over.
CREATE OR REPLACE FUNCTION notify.let_go(keys jsonb, seconds double precision) RETURNS TABLE (id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    WITH asked AS (
        SELECT s.id, s.enterprise_id
        FROM jsonb_to_recordset(let_go.keys) AS k (id bigint, enterprise_id text, generation int)
        JOIN notify.xnovu_sending s USING (id, enterprise_id, generation)
        ORDER BY s.id, s.enterprise_id FOR UPDATE OF s)
    UPDATE notify.xnovu_sending s SET until = now() + make_interval(secs => let_go.seconds)
    FROM asked a WHERE s.id = a.id AND s.enterprise_id = a.enterprise_id
    RETURNING s.id
$$;

-- Those still to be sent under this very claim that somebody may be sending, and for how many seconds more.
CREATE OR REPLACE FUNCTION notify.being_sent(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    SELECT k.id, k.enterprise_id, k.generation, k.claims, extract(epoch FROM s.until - now())::double precision
    FROM jsonb_to_recordset(being_sent.keys) AS k (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.xnovu_sending s ON s.id = k.id AND s.enterprise_id = k.enterprise_id
    JOIN notify.ent_notification n ON n.id = k.id AND n.enterprise_id::text = k.enterprise_id
    WHERE s.until > now() AND n.notification_status = 'PROCESSING'
      AND n.generation = k.generation AND n.claims = k.claims
$$;

DROP FUNCTION IF EXISTS notify.still_wanted(jsonb, double precision);

-- The keys that are still to be sent: under this very claim, not expired. A claim that is about to
-- lapse is kept for `hold_seconds`: else another one could begin while these are being sent, and look
-- at the provider for them before it shows them. Longer, too, than any of them waits for its retry.
-- For `alone_seconds` nobody else is given them; those that somebody else was given are left out. With
-- `tokens` of calls whose answers were lost, what those were given is given again.
CREATE OR REPLACE FUNCTION notify.still_wanted(keys jsonb, hold_seconds double precision DEFAULT 120,
                                    alone_seconds double precision DEFAULT 0, tokens jsonb DEFAULT '[]')
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    held timestamptz := now() + make_interval(secs => still_wanted.hold_seconds);
    wanted jsonb;
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

    wanted := (
        SELECT jsonb_agg(key)
        FROM jsonb_to_recordset(still_wanted.keys)
            AS key (id bigint, enterprise_id text, generation int, claims int)
        JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
        WHERE n.notification_status = 'PROCESSING'
          AND n.generation = key.generation AND n.claims = key.claims
          AND (n.expires_at IS NULL OR n.expires_at > now()));

    IF still_wanted.alone_seconds > 0 THEN
        RETURN QUERY
        SELECT key.id, key.enterprise_id, key.generation, key.claims
        FROM jsonb_to_recordset(wanted) AS key (id bigint, enterprise_id text, generation int, claims int)
        JOIN notify.xnovu_take_up(wanted, still_wanted.alone_seconds, still_wanted.tokens)
            AS ours USING (id, enterprise_id);
    ELSE
        RETURN QUERY
        SELECT * FROM jsonb_to_recordset(wanted) AS key (id bigint, enterprise_id text, generation int, claims int);
    END IF;
END $$;

-- Write how notifications ended; return those for which that is now so, whether this call or an
-- earlier one wrote it. As before, and of what has ended nobody notes any more that it is being sent.
-- SENT holds whichever claim sent it; FAILED only from the claim that still has the row. Told both,
-- SENT wins. The returned `claims` are the row's: the same fact, whoever states it.
CREATE OR REPLACE FUNCTION notify.record(outcomes jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, status text, previous text,
               at timestamptz, transaction_id text, error_details jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM set_config('xnovu.actor', 'status', true);

    -- By id, as all do who lock several rows: so two batches never wait for each other. The new
    -- status and details take the types of the table's own columns.
    UPDATE notify.ent_notification n
    SET notification_status = (typed.ended).notification_status,
        error_details = (typed.ended).error_details,
        processed_at = now(), claimed_until = NULL, updated_at = now()
    FROM (
        SELECT DISTINCT ON (n.id, n.enterprise_id) n.id, n.enterprise_id, told.generation, told.claims, told.failed,
               jsonb_populate_record(NULL::notify.ent_notification, jsonb_build_object(
                   'notification_status', CASE WHEN told.failed THEN 'FAILED' ELSE 'SENT' END,
                   'error_details', CASE WHEN told.failed THEN told.error_details END)) AS ended
        FROM notify.xnovu_told(record.outcomes) AS told
        JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
        WHERE n.notification_status = 'PROCESSING' AND n.generation = told.generation
          AND (n.claims = told.claims OR NOT told.failed)
        ORDER BY n.id, n.enterprise_id, told.failed
    ) AS typed
    WHERE n.id = typed.id AND n.enterprise_id = typed.enterprise_id
      AND n.notification_status = 'PROCESSING'
      AND n.generation = typed.generation AND (n.claims = typed.claims OR NOT typed.failed);

    PERFORM notify.xnovu_sent(record.outcomes);

    RETURN QUERY
    SELECT DISTINCT ON (n.id, n.enterprise_id)
           n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           n.notification_status::text, 'PROCESSING', coalesce(n.processed_at, n.updated_at, now()),
           n.transaction_id::text, n.error_details::jsonb
    FROM notify.xnovu_told(record.outcomes) AS told
    JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
    WHERE n.generation = told.generation
      AND (n.notification_status = 'SENT' AND NOT told.failed
           OR n.notification_status = 'FAILED' AND told.failed AND n.claims = told.claims)
    ORDER BY n.id, n.enterprise_id;

    PERFORM set_config('xnovu.actor', caller, true);
END $$;

DROP FUNCTION IF EXISTS notify.retracted(jsonb);

-- Where retracted rows stand, each under its claim, which is kept for `hold_seconds`: what they were, the
-- seconds since a stage last had them in hand to send, and the outcome where it is known.
CREATE OR REPLACE FUNCTION notify.retracted(keys jsonb, hold_seconds double precision DEFAULT 120)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int,
               previous text, quiet double precision, outcome text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    held timestamptz := now() + make_interval(secs => retracted.hold_seconds);
BEGIN
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

-- Write what came of retractions, each under its claim; return those of which it is known, whether this
-- call has written it, an earlier one, or the retraction itself. `outcomes`: keys, each with its `outcome`.
-- As before, and of what has ended nobody notes any more that it is being sent.
CREATE OR REPLACE FUNCTION notify.record_retractions(outcomes jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, status text, previous text,
               at timestamptz, transaction_id text, retraction text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM set_config('xnovu.actor', 'retract', true);
    -- By id: the condition is worded so that the planner does not see the index of open retractions in it.
    UPDATE notify.ent_notification n
    SET retraction_outcome = coalesce(n.retraction_outcome, told.outcome),
        claimed_until = NULL, updated_at = now()
    FROM (SELECT * FROM jsonb_to_recordset(record_retractions.outcomes)
              AS o (id bigint, enterprise_id text, generation int, claims int, outcome text) ORDER BY o.id) AS told
    WHERE n.id = told.id AND n.enterprise_id::text = told.enterprise_id
      AND n.notification_status = 'RETRACTED' AND coalesce(n.claimed_until, '-infinity') > '-infinity'
      AND n.generation = told.generation AND n.claims = told.claims;

    PERFORM notify.xnovu_sent(record_retractions.outcomes);

    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int, 'RETRACTED',
           stood.previous, stood.at, n.transaction_id::text, n.retraction_outcome::text
    FROM jsonb_to_recordset(record_retractions.outcomes)
        AS told (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
    CROSS JOIN LATERAL notify.xnovu_stood(n) AS stood
    WHERE n.notification_status = 'RETRACTED' AND n.retraction_outcome IS NOT NULL
      AND n.generation = told.generation AND n.claims = told.claims;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;

-- As before, with the new functions; and only they get at the new table.
CREATE OR REPLACE FUNCTION notify.xnovu_close() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    functions text := (
        SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'notify'::regnamespace
          AND (p.proname LIKE 'xnovu\_%' OR p.proname IN (
              'being_sent', 'claim', 'claim_retractions', 'claimed', 'enqueue', 'failed', 'history', 'let_go', 'load',
              'next_due', 'note_operation', 'overdue', 'record', 'record_retractions', 'redrive', 'release', 'retract',
              'retracted', 'state', 'still_wanted', 'transaction_id')));
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
