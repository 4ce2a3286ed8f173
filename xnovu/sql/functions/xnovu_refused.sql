-- The database refuses to change this row: `said` names the column, constraint or function. One that nobody can have
-- begun to send ends FAILED. One that cannot even be marked is set aside, and tried again now and then.
CREATE OR REPLACE FUNCTION notify.xnovu_refused(what text, pick notify.xnovu_pick, state text, said text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET jit = off AS $$
BEGIN
    IF what IN ('arm', 'claim') AND pick.claimed_until IS NULL AND state <> '55P03' THEN
        BEGIN
            PERFORM notify.xnovu_fail(pick.id, pick.enterprise_id, jsonb_build_object(
                'code', 'refused_by_database', 'stage', 'ingest', 'attempts', 1, 'at', now(),
                'message', format('the database refuses to change this row: %s (%s)', said, state)));
            RETURN;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF notify.xnovu_nobodys(SQLSTATE, '') THEN
                RAISE;
            END IF;
        END;
    END IF;
    PERFORM notify.set_aside(pick.id, pick.enterprise_id, format('%s (%s)', said, state));
END $$;
