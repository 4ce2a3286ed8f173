-- The workflows in use (of one enterprise) with their schemas, so many at a time.
CREATE OR REPLACE FUNCTION notify.workflows(of_enterprise text, skip int, most int)
RETURNS TABLE (enterprise_id text, workflow_key text, payload_schema jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    SELECT w.enterprise_id::text, w.workflow_key::text, w.payload_schema::jsonb
    FROM notify.ent_notification_workflow w
    WHERE NOT coalesce(w.deactivated, false)
      AND (workflows.of_enterprise IS NULL OR w.enterprise_id::text = workflows.of_enterprise)
    ORDER BY 1, 2, w.version, w.ctid OFFSET workflows.skip LIMIT workflows.most
$$;
