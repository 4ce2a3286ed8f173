-- Tell whoever listens that rows have come; each holds this lock while it does. Nobody is told where nobody listens:
-- a transaction that has notified cannot be prepared (PREPARE TRANSACTION).
CREATE OR REPLACE FUNCTION notify.xnovu_tell() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_locks l
               WHERE l.locktype = 'advisory' AND l.classid = 1 AND l.objid = 3522270716 AND l.granted
                 AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) THEN
        PERFORM pg_notify('xnovu_wake', '');
    END IF;
END $$;
