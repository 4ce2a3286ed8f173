DROP FUNCTION IF EXISTS notify.xnovu_change(text, notify.xnovu_pick[], uuid, double precision);

-- Change rows that a claim has picked and locked, as `what` says. If the database refuses that, such as for a constraint
-- or a trigger of the platform's, they are halved until the one it refuses is alone (notify.xnovu_refused): the others
-- are changed all the same. So they are if a trigger keeps a row as it is, or waits for what others have locked, for
-- longer than `patience`. What is nobody's fault is raised.
CREATE OR REPLACE FUNCTION notify.xnovu_change(what text, picks notify.xnovu_pick[], token uuid DEFAULT NULL,
                                               seconds double precision DEFAULT 0, patience text DEFAULT '250ms')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET lock_timeout = '250ms' AS $$
DECLARE
    half constant int := cardinality(picks) / 2;
    changed int;
    state text;
    of_column text;
    of_constraint text;
    routine text;
BEGIN
    IF half = 0 AND picks[1] IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', patience, true);
    BEGIN
        CASE what
            WHEN 'arm' THEN
                UPDATE notify.ent_notification n SET armed_for = n.scheduled_for
                FROM unnest(picks) AS p WHERE n.id = p.id AND n.enterprise_id::text = p.enterprise_id;
            WHEN 'claim' THEN
                UPDATE notify.ent_notification n
                SET notification_status = 'PROCESSING', claims = n.claims + 1,
                    claimed_until = now() + make_interval(secs => xnovu_change.seconds),
                    claim_token = xnovu_change.token, updated_at = now(),
                    transaction_id = notify.xnovu_transaction_id(
                        n.transaction_id::text, n.enterprise_id::text, n.id, n.generation::int)
                FROM unnest(picks) AS p WHERE n.id = p.id AND n.enterprise_id::text = p.enterprise_id;
            WHEN 'retract' THEN
                UPDATE notify.ent_notification n
                SET claims = n.claims + 1, claimed_until = now() + make_interval(secs => xnovu_change.seconds),
                    claim_token = xnovu_change.token
                FROM unnest(picks) AS p WHERE n.id = p.id AND n.enterprise_id::text = p.enterprise_id;
            WHEN 'due' THEN
                UPDATE notify.ent_notification n SET claimed_until = now()
                FROM unnest(picks) AS p WHERE n.id = p.id AND n.enterprise_id::text = p.enterprise_id;
        END CASE;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < (SELECT count(DISTINCT (p.id, p.enterprise_id)) FROM unnest(picks) AS p) THEN
            RAISE EXCEPTION 'a trigger keeps a row as it is' USING ERRCODE = 'XN002';
        END IF;
        SET CONSTRAINTS ALL IMMEDIATE;  -- what was to be checked at the end is checked here
        RETURN;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, of_column = COLUMN_NAME, of_constraint = CONSTRAINT_NAME,
                                routine = PG_EXCEPTION_CONTEXT;
        routine := substring(routine FROM 'PL/pgSQL[^\n(]*?([[:alnum:]_."]+)\(');  -- whatever the language
        IF notify.xnovu_nobodys(state, routine) THEN
            RAISE;
        END IF;
    END;
    IF half = 0 THEN
        PERFORM notify.xnovu_refused(what, picks[1], state, CASE
            WHEN of_column <> '' THEN format('column "%s"', of_column)
            WHEN of_constraint <> '' THEN format('constraint "%s"', of_constraint)
            WHEN routine !~ '^"?(notify\.)?xnovu_' THEN 'function ' || routine
            WHEN state = 'XN002' THEN 'a trigger'
            WHEN state = '55P03' THEN 'a lock of another session'
            ELSE 'a value' END);
        RETURN;
    END IF;
    IF state = '55P03' THEN  -- it was waited for once
        patience := '1ms';
    END IF;
    PERFORM notify.xnovu_change(what, picks[:half], token, seconds, patience);
    PERFORM notify.xnovu_change(what, picks[half + 1:], token, seconds, patience);
END $$;
