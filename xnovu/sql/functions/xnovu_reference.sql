-- The one of the workflow's columns that `notification_workflow_id` refers to: its key where that
-- is a text, else its id. Plain enough for the planner to see through, so an index still serves.
DO $$
DECLARE
    target text;
    target_type text;
BEGIN
    SELECT CASE WHEN t.typcategory = 'S' THEN 'workflow_key' ELSE 'id' END INTO target
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = 'notify.ent_notification'::regclass AND a.attname = 'notification_workflow_id';
    SELECT format_type(atttypid, NULL) INTO target_type FROM pg_catalog.pg_attribute
    WHERE attrelid = 'notify.ent_notification_workflow'::regclass AND attname = target;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'notify.ent_notification.notification_workflow_id refers to an id, which notify.ent_notification_workflow does not have'
            USING ERRCODE = 'XN001', HINT = 'Give the workflows an id, or refer to their workflow_key.';
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION notify.xnovu_reference(w notify.ent_notification_workflow)
         RETURNS %s LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ''SELECT w.%I''', target_type, target);
END $$;
