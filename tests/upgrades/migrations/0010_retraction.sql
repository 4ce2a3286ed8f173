-- Retraction: whoever takes a notification back, with whatever statement, sets it due for being stopped
-- wherever it is, and what that achieved is written down. And rows past their deadline can be found.

ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS retraction_outcome text;

COMMENT ON COLUMN notify.ent_notification.retraction_outcome IS
    'What a retraction achieved: stopped, cancelled, partly, too_late. Null: not known yet.';
COMMENT ON COLUMN notify.ent_notification.claimed_until IS
    'While PROCESSING, or RETRACTED and not told what came of it: when the claim lapses and the row is due again. Null: never.';

-- Those that are still to be told; the others cost nothing.
CREATE INDEX IF NOT EXISTS ent_notification_xnovu_retracted ON notify.ent_notification (claimed_until)
    WHERE notification_status = 'RETRACTED' AND claimed_until IS NOT NULL;

-- Due at once, whoever had it. What was never claimed cannot have been sent, so its outcome is known.
CREATE OR REPLACE FUNCTION notify.xnovu_retracted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.retracted_at := coalesce(NEW.retracted_at, now());
    NEW.retraction_outcome := CASE WHEN OLD.notification_status = 'PENDING' AND OLD.claims = 0 THEN 'stopped' END;
    NEW.claimed_until := CASE WHEN NEW.enterprise_id IS NOT NULL THEN now() END;
    NEW.claim_token := NULL;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_retracted
    BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW
    WHEN (NEW.notification_status = 'RETRACTED' AND OLD.notification_status IS DISTINCT FROM NEW.notification_status)
    EXECUTE FUNCTION notify.xnovu_retracted();

-- As before, and a line when the outcome of a retraction is known. That it was claimed to find out is
-- no transition.
CREATE OR REPLACE FUNCTION notify.xnovu_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    who text := coalesce(
        nullif(current_setting('xnovu.actor', true), ''),
        nullif(current_setting('role'), 'none'),
        session_user);
BEGIN
    INSERT INTO notify.ent_notification_audit
        (notification_id, enterprise_id, generation, claims, from_status, to_status, actor, details)
    SELECT n.id, n.enterprise_id, n.generation, n.claims,
           o.notification_status::text, n.notification_status::text, who,
           CASE WHEN n.notification_status = 'FAILED' THEN to_jsonb(n.error_details)
                WHEN n.notification_status = 'RETRACTED'
                THEN jsonb_build_object('reason', n.retraction_reason)
                     || CASE WHEN n.retraction_outcome IS NULL THEN '{}'
                             ELSE jsonb_build_object('outcome', n.retraction_outcome) END END
    FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.enterprise_id = n.enterprise_id
    WHERE o.notification_status IS DISTINCT FROM n.notification_status
       OR o.claims <> n.claims AND n.notification_status <> 'RETRACTED'
       OR o.generation <> n.generation
       OR o.retraction_outcome IS DISTINCT FROM n.retraction_outcome AND n.notification_status = 'RETRACTED'
    ORDER BY n.id;

    IF EXISTS (SELECT FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.enterprise_id = n.enterprise_id
               WHERE n.notification_status IN ('PENDING', 'RETRACTED')
                 AND (o.notification_status IS DISTINCT FROM n.notification_status
                      OR o.scheduled_for IS DISTINCT FROM n.scheduled_for)) THEN
        PERFORM pg_notify('xnovu_wake', '');
    END IF;
    RETURN NULL;
END $$;

-- What a retracted row was before and since when it is retracted; and since when no stage has had it
-- in hand to send. The audit knows best: a platform may write what it likes into its own columns.
CREATE OR REPLACE FUNCTION notify.xnovu_stood(n notify.ent_notification)
RETURNS TABLE (previous text, at timestamptz, quiet_since timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    SELECT CASE WHEN trail.previous IN ('PENDING', 'SENT', 'FAILED') THEN trail.previous ELSE 'PROCESSING' END,
           coalesce(trail.at, n.retracted_at, now()),
           coalesce(trail.left_hand, trail.at, n.retracted_at, n.created_at, 'epoch')
    FROM (
        SELECT (array_agg(a.from_status ORDER BY a.id DESC) FILTER (WHERE back))[1] AS previous,
               max(a.at) FILTER (WHERE back) AS at,
               max(a.at) FILTER (WHERE a.generation = n.generation AND a.from_status = 'PROCESSING'
                                   AND a.to_status <> 'PROCESSING') AS left_hand
        FROM notify.ent_notification_audit a,
             LATERAL (SELECT a.to_status = 'RETRACTED' AND a.from_status <> 'RETRACTED') AS taken (back)
        WHERE a.notification_id = n.id AND a.enterprise_id = n.enterprise_id) AS trail
$$;

-- Take up to `max_rows` retractions that are to be told, for `lease_seconds`; of one enterprise where
-- `of_enterprise` says so. `again` with the token of a call whose answer was lost: what that has taken.
CREATE OR REPLACE FUNCTION notify.claim_retractions(max_rows int, lease_seconds double precision, token uuid,
                                         of_enterprise text DEFAULT NULL, again boolean DEFAULT false)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text, recipients int)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := claim_retractions.of_enterprise;
BEGIN
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
END $$;

-- Give claimed rows back at once, retractions among them.
CREATE OR REPLACE FUNCTION notify.release(keys jsonb) RETURNS TABLE (id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE notify.ent_notification n
    SET claimed_until = now(), updated_at = now()
    FROM (SELECT * FROM jsonb_to_recordset(release.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND (n.notification_status = 'PROCESSING'
           OR n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL)
      AND n.generation = key.generation AND n.claims = key.claims
    RETURNING n.id::bigint;
END $$;

-- Where retracted rows stand, each under its claim, which is kept for two minutes more: what they were,
-- the seconds since a stage last had them in hand to send, and the outcome where it is known.
CREATE OR REPLACE FUNCTION notify.retracted(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int,
               previous text, quiet double precision, outcome text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    UPDATE notify.ent_notification n
    SET claimed_until = now() + interval '2 minutes'
    FROM (SELECT * FROM jsonb_to_recordset(retracted.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.notification_status = 'RETRACTED'
      AND n.generation = key.generation AND n.claims = key.claims
      AND n.claimed_until < now() + interval '2 minutes';

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

-- Those under this very claim that are past their deadline, and for how many seconds.
CREATE OR REPLACE FUNCTION notify.overdue(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, seconds double precision)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims,
           extract(epoch FROM now() - notify.xnovu_deadline(n.expires_at))::double precision
    FROM jsonb_to_recordset(overdue.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    WHERE n.notification_status = 'PROCESSING' AND n.expires_at <= now()
      AND n.generation = key.generation AND n.claims = key.claims;
END $$;

SELECT notify.xnovu_close();
