-- Whoever listens is told that rows have come, whoever inserts them.
CREATE OR REPLACE FUNCTION notify.xnovu_wake() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    PERFORM notify.xnovu_tell();
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER xnovu_wake
    AFTER INSERT ON notify.ent_notification
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_wake();
