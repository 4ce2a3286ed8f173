-- A row that states no priority has its workflow's.
CREATE OR REPLACE FUNCTION notify.xnovu_prioritise() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    NEW.priority := 0;
    IF EXISTS (SELECT FROM notify.ent_notification_workflow w
               WHERE (w.enterprise_id = NEW.enterprise_id OR w.enterprise_id IS NULL) AND w.priority IS NOT NULL) THEN
        NEW.priority := coalesce((
            SELECT w.priority FROM notify.xnovu_workflow(NEW.enterprise_id, NEW.notification_workflow_id) AS w), 0);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_prioritise
    BEFORE INSERT ON notify.ent_notification
    FOR EACH ROW WHEN (NEW.priority IS NULL)
    EXECUTE FUNCTION notify.xnovu_prioritise();
