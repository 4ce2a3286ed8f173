DROP FUNCTION IF EXISTS notify.limits(text);

-- What limits there are: of enterprises, and of their workflows (of one enterprise).
CREATE OR REPLACE FUNCTION notify.limits(of_enterprise text DEFAULT NULL)
RETURNS TABLE (enterprise_id text, workflow_key text, weight int, concurrency int, rate double precision, priority int,
               recipient_prefix text, overrides_allowed text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    SELECT e.enterprise_id, NULL, e.weight, e.concurrency, e.rate, NULL::int, e.recipient_prefix, e.overrides_allowed
    FROM notify.xnovu_enterprise e
    WHERE limits.of_enterprise IS NULL OR e.enterprise_id = limits.of_enterprise
    UNION ALL
    SELECT w.enterprise_id::text, w.workflow_key::text, NULL, w.concurrency, NULL, w.priority, NULL, NULL
    FROM notify.ent_notification_workflow w
    WHERE (w.concurrency IS NOT NULL OR w.priority IS NOT NULL)
      AND (limits.of_enterprise IS NULL OR w.enterprise_id::text = limits.of_enterprise)
    ORDER BY 1, 2 NULLS FIRST
$$;
