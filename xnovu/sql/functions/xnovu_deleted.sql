-- The send records of rows that are deleted go with them, and that they are set aside.
CREATE OR REPLACE FUNCTION notify.xnovu_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM notify.xnovu_sending;
        DELETE FROM notify.xnovu_set_aside;
        RETURN NULL;
    END IF;
    WITH gone AS (  -- by id, as all do who lock several
        SELECT s.id, s.enterprise_id FROM notify.xnovu_sending s
        JOIN old_rows o ON s.id = o.id AND s.enterprise_id = o.enterprise_id::text
        ORDER BY s.id, s.enterprise_id FOR UPDATE OF s)
    DELETE FROM notify.xnovu_sending s USING gone g WHERE s.id = g.id AND s.enterprise_id = g.enterprise_id;
    DELETE FROM notify.xnovu_set_aside a USING old_rows o
    WHERE a.id = o.id AND a.enterprise_id = coalesce(o.enterprise_id::text, '');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER xnovu_deleted
    AFTER DELETE ON notify.ent_notification
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_deleted();

CREATE OR REPLACE TRIGGER xnovu_truncated
    AFTER TRUNCATE ON notify.ent_notification
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_deleted();
