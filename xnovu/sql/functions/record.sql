DROP FUNCTION IF EXISTS notify.record(jsonb);

-- Write how notifications ended; return those for which that is now so, whether this call or an earlier one wrote
-- it. What is SENT needs no send record any more.
-- SENT holds whichever claim sent it; FAILED only from the claim that still has the row. Told both, SENT wins. The
-- returned `claims` are the row's: the same fact, whoever states it.
-- Row by row by its id: the condition is worded so that the planner does not see the index of what is being worked
-- on in it, which it took for small and read as a whole for each row.
-- With `patience` a row is SENT only if a send record says that somebody began to send it; else it stays as it is and is
-- returned as UNCONFIRMED. Stages of 0.1 are believed.
-- With `patience` a row that another session has locked is left as it is and returned as LOCKED, and other locks, such as
-- of what a trigger touches, are waited for no longer than that; without, both are, as stages of 0.1 expect it.
CREATE OR REPLACE FUNCTION notify.record(outcomes jsonb, patience text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, status text, previous text,
               at timestamptz, transaction_id text, error_details jsonb)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET lock_timeout = '0' SET jit = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
    free text[];  -- what is ours to change by now
    unbegun text[] := '{}';
    changed int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM set_config('xnovu.actor', 'status', true);
    IF patience IS NOT NULL THEN
        PERFORM set_config('lock_timeout', patience, true);
        unbegun := notify.xnovu_unbegun(record.outcomes);
        free := ARRAY(SELECT n.id || ' ' || n.enterprise_id::text FROM notify.ent_notification n
                      JOIN notify.xnovu_told(record.outcomes) AS told
                           ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
                      WHERE coalesce(n.notification_status = 'PROCESSING', false) AND n.generation = told.generation
                        AND (n.claims = told.claims OR NOT told.failed)
                        AND (told.failed OR told.id || ' ' || told.enterprise_id <> ALL (unbegun))
                      ORDER BY n.id FOR NO KEY UPDATE OF n SKIP LOCKED);
    END IF;

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
        WHERE coalesce(n.notification_status = 'PROCESSING', false) AND n.generation = told.generation
          AND (n.claims = told.claims OR NOT told.failed)
          AND (patience IS NULL OR n.id || ' ' || n.enterprise_id::text = ANY (free))
          AND (told.failed OR told.id || ' ' || told.enterprise_id <> ALL (unbegun))
        ORDER BY n.id, n.enterprise_id, told.failed
    ) AS typed
    WHERE n.id = typed.id AND n.enterprise_id = typed.enterprise_id
      AND coalesce(n.notification_status = 'PROCESSING', false)
      AND n.generation = typed.generation AND (n.claims = typed.claims OR NOT typed.failed);

    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed < (SELECT count(DISTINCT f) FROM unnest(free) AS f) THEN
        RAISE EXCEPTION 'a trigger keeps a row as it is' USING ERRCODE = 'XN002';
    END IF;

    PERFORM notify.xnovu_forget_sends(record.outcomes);

    RETURN QUERY
    SELECT DISTINCT ON (n.id, n.enterprise_id)
           n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           CASE WHEN n.notification_status <> 'PROCESSING' THEN n.notification_status::text
                WHEN NOT told.failed AND told.id || ' ' || told.enterprise_id = ANY (unbegun) THEN 'UNCONFIRMED'
                ELSE 'LOCKED' END,
           'PROCESSING', coalesce(n.processed_at, n.updated_at, now()),
           n.transaction_id::text, n.error_details::jsonb
    FROM notify.xnovu_told(record.outcomes) AS told
    JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
    WHERE n.generation = told.generation
      AND (n.notification_status = 'SENT' AND NOT told.failed
           OR n.notification_status = 'FAILED' AND told.failed AND n.claims = told.claims
           OR n.notification_status = 'PROCESSING' AND (n.claims = told.claims OR NOT told.failed)
              AND patience IS NOT NULL AND n.id || ' ' || n.enterprise_id::text <> ALL (free))
    ORDER BY n.id, n.enterprise_id, told.failed DESC;

    PERFORM set_config('xnovu.actor', caller, true);
END $$;
