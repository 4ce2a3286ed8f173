-- Change rows that a claim has picked and locked, as `what` says. If the database refuses that, such as for a constraint
-- or a trigger of the platform's, they are halved until the one it refuses is alone (notify.xnovu_refused): the others
-- are changed all the same. What is nobody's fault is raised.
CREATE OR REPLACE FUNCTION notify.xnovu_change(what text, picks notify.xnovu_pick[], token uuid DEFAULT NULL,
                                               seconds double precision DEFAULT 0) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET lock_timeout = '2s' AS $$
DECLARE
    half constant int := cardinality(picks) / 2;
    state text;
    of_column text;
    of_constraint text;
    context text;
BEGIN
    IF half = 0 AND picks[1] IS NULL THEN
        RETURN;
    END IF;
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
        SET CONSTRAINTS ALL IMMEDIATE;  -- what was to be checked at the end is checked here
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        IF notify.xnovu_nobodys(SQLSTATE) THEN
            RAISE;
        END IF;
        state := SQLSTATE;
        GET STACKED DIAGNOSTICS of_column = COLUMN_NAME, of_constraint = CONSTRAINT_NAME, context = PG_EXCEPTION_CONTEXT;
    END;
    IF half = 0 THEN
        PERFORM notify.xnovu_refused(what, picks[1], state, CASE
            WHEN of_column <> '' THEN format('column "%s"', of_column)
            WHEN of_constraint <> '' THEN format('constraint "%s"', of_constraint)
            ELSE coalesce('function ' || substring(context FROM 'function ([^ (]+)'), 'a value') END);
    ELSE
        PERFORM notify.xnovu_change(what, picks[:half], token, seconds);
        PERFORM notify.xnovu_change(what, picks[half + 1:], token, seconds);
    END IF;
END $$;
