-- Rows of no enterprise, or of one that no subject can name, end FAILED: nobody would ever take them.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse_nobodys() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    which bigint;
BEGIN
    FOR which IN
        SELECT n.id FROM notify.ent_notification n
        WHERE n.notification_status = 'PENDING' AND n.enterprise_id IS NULL AND n.unpublished IS NULL
          AND NOT notify.xnovu_is_aside(n.id, '')
        ORDER BY n.id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        BEGIN
            PERFORM notify.xnovu_fail(which, NULL, jsonb_build_object(
                'code', 'unaddressable', 'stage', 'ingest', 'attempts', 1, 'at', now(), 'message', 'enterprise_id is null'));
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF notify.xnovu_nobodys(SQLSTATE, '') THEN
                RAISE;
            END IF;
            PERFORM notify.set_aside(which, '', format('a row without enterprise_id (%s)', SQLSTATE));
        END;
    END LOOP;
END $$;
