-- Make ready what has come due, the first first; of one enterprise where `of_enterprise` says so.
CREATE OR REPLACE FUNCTION notify.xnovu_arm(of_enterprise notify.ent_notification.enterprise_id%TYPE) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM FROM notify.ent_notification n
    WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
      AND n.scheduled_for <= now() AND n.enterprise_id IS NOT NULL
      AND (of_enterprise IS NULL OR n.enterprise_id = of_enterprise)
    ORDER BY n.scheduled_for LIMIT 1;
    IF NOT FOUND THEN  -- a statement that changes nothing would still wake the audit
        RETURN;
    END IF;
    UPDATE notify.ent_notification n
    SET armed_for = n.scheduled_for
    FROM (SELECT n.id, n.enterprise_id
          FROM notify.ent_notification n
          WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
            AND n.scheduled_for <= now() AND n.enterprise_id IS NOT NULL
            AND (of_enterprise IS NULL OR n.enterprise_id = of_enterprise)
          ORDER BY n.scheduled_for LIMIT 500
          FOR UPDATE SKIP LOCKED) AS come
    WHERE n.id = come.id AND n.enterprise_id = come.enterprise_id;
END $$;
