DROP FUNCTION IF EXISTS notify.history(bigint);

-- One notification with all its columns, its workflow, and its transitions in order.
CREATE OR REPLACE FUNCTION notify.history(notification_id bigint, of_enterprise text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN (
        SELECT jsonb_build_object(
            'notification', to_jsonb(n),
            'workflow', (SELECT to_jsonb(w) FROM notify.xnovu_workflow(n.enterprise_id, n.notification_workflow_id) AS w),
            'transitions', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.id), '[]')
                            FROM notify.ent_notification_audit a
                            WHERE a.notification_id = n.id AND a.enterprise_id = n.enterprise_id))
        FROM notify.ent_notification n
        WHERE n.id = history.notification_id
          AND (history.of_enterprise IS NULL OR n.enterprise_id::text = history.of_enterprise));
END $$;
