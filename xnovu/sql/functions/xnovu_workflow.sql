-- The workflow that a notification refers to: its enterprise's own, else one that serves every enterprise (its
-- enterprise_id is null). Without SET, so that the planner sees through it.
DO $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION notify.xnovu_workflow(enterprise %s, reference %s)
         RETURNS SETOF notify.ent_notification_workflow LANGUAGE sql STABLE AS $f$
            SELECT w.* FROM notify.ent_notification_workflow w
            WHERE (w.enterprise_id = $1 OR w.enterprise_id IS NULL) AND notify.xnovu_reference(w) = $2
            ORDER BY w.enterprise_id IS NULL, NOT notify.xnovu_published(w), w.version DESC NULLS LAST
            LIMIT 1
         $f$',
        (SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
         WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id'),
        (SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
         WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'notification_workflow_id'));
END $$;
