-- A row that states no priority has its workflow's.
CREATE OR REPLACE FUNCTION notify.xnovu_prioritise() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.priority := 0;
    IF EXISTS (SELECT FROM notify.ent_notification_workflow w
               WHERE w.enterprise_id = NEW.enterprise_id AND w.priority IS NOT NULL) THEN
        NEW.priority := coalesce((
            SELECT w.priority FROM notify.ent_notification_workflow w
            WHERE w.enterprise_id = NEW.enterprise_id
              AND notify.xnovu_reference(w) = NEW.notification_workflow_id
            ORDER BY coalesce(w.deactivated, false), w.version DESC NULLS LAST LIMIT 1), 0);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_prioritise
    BEFORE INSERT ON notify.ent_notification
    FOR EACH ROW WHEN (NEW.priority IS NULL)
    EXECUTE FUNCTION notify.xnovu_prioritise();
