-- The send records of rows that are deleted go with them.
CREATE OR REPLACE FUNCTION notify.xnovu_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM notify.xnovu_sending s
    USING old_rows o WHERE s.id = o.id AND s.enterprise_id = o.enterprise_id::text;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER xnovu_deleted
    AFTER DELETE ON notify.ent_notification
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_deleted();
