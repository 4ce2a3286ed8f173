DROP FUNCTION IF EXISTS notify.record_retractions(jsonb);

-- Write what came of retractions, each under its claim; return those of which it is known, whether this
-- call has written it, an earlier one, or the retraction itself. `outcomes`: keys, each with its `outcome`.
-- What has ended needs no send record any more. `patience` as in notify.record.
CREATE OR REPLACE FUNCTION notify.record_retractions(outcomes jsonb, patience text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, status text, previous text,
               at timestamptz, transaction_id text, retraction text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET lock_timeout = '0' SET jit = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
    free text[];  -- what is ours to change by now
    changed int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM set_config('xnovu.actor', 'retract', true);
    IF patience IS NOT NULL THEN
        PERFORM set_config('lock_timeout', patience, true);
        free := ARRAY(SELECT n.id || ' ' || n.enterprise_id::text FROM notify.ent_notification n
                      JOIN jsonb_to_recordset(record_retractions.outcomes)
                               AS o (id bigint, enterprise_id text, generation int, claims int)
                           ON n.id = o.id AND n.enterprise_id::text = o.enterprise_id
                      WHERE coalesce(n.notification_status = 'RETRACTED', false)
                        AND coalesce(n.claimed_until, '-infinity') > '-infinity'
                        AND n.generation = o.generation AND n.claims = o.claims
                      ORDER BY n.id FOR NO KEY UPDATE OF n SKIP LOCKED);
    END IF;
    -- By id: the condition is worded so that the planner does not see the index of open retractions in it.
    UPDATE notify.ent_notification n
    SET retraction_outcome = coalesce(n.retraction_outcome, told.outcome),
        claimed_until = NULL, updated_at = now()
    FROM (SELECT * FROM jsonb_to_recordset(record_retractions.outcomes)
              AS o (id bigint, enterprise_id text, generation int, claims int, outcome text) ORDER BY o.id) AS told
    WHERE n.id = told.id AND n.enterprise_id::text = told.enterprise_id
      AND n.notification_status = 'RETRACTED' AND coalesce(n.claimed_until, '-infinity') > '-infinity'
      AND n.generation = told.generation AND n.claims = told.claims
      AND (patience IS NULL OR n.id || ' ' || n.enterprise_id::text = ANY (free));

    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed < (SELECT count(DISTINCT f) FROM unnest(free) AS f) THEN
        RAISE EXCEPTION 'a trigger keeps a row as it is' USING ERRCODE = 'XN002';
    END IF;

    PERFORM notify.xnovu_forget_sends(record_retractions.outcomes);

    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           CASE WHEN n.retraction_outcome IS NULL THEN 'LOCKED' ELSE 'RETRACTED' END,
           stood.previous, stood.at, n.transaction_id::text, n.retraction_outcome::text
    FROM jsonb_to_recordset(record_retractions.outcomes)
        AS told (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
    CROSS JOIN LATERAL notify.xnovu_stood(n) AS stood
    WHERE n.notification_status = 'RETRACTED'
      AND (n.retraction_outcome IS NOT NULL
           OR patience IS NOT NULL AND coalesce(n.claimed_until, '-infinity') > '-infinity'
              AND n.id || ' ' || n.enterprise_id::text <> ALL (free))
      AND n.generation = told.generation AND n.claims = told.claims;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;
