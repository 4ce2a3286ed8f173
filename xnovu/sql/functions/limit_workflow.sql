-- Change what a workflow of an enterprise may have, in whatever version, as notify.limit_enterprise; returns
-- how many lines the workflow has.
CREATE OR REPLACE FUNCTION notify.limit_workflow(of_enterprise text, workflow text, changes jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    UPDATE notify.ent_notification_workflow w
    SET concurrency = CASE WHEN changes ? 'concurrency' THEN (changes ->> 'concurrency')::int ELSE w.concurrency END,
        priority = CASE WHEN changes ? 'priority' THEN (changes ->> 'priority')::int ELSE w.priority END
    WHERE w.enterprise_id::text = of_enterprise AND w.workflow_key::text = workflow;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
