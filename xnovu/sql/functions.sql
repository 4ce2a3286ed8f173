-- XNovu's functions and who may use them, as of version {version}; not to be edited. It may be run again, by whatever
-- means: what the database has is left alone, and all of it if that is of a newer version.

-- A table in use is waited for, but not for so long that all its users queue up behind.
SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '0', true);

DO $xnovu$
DECLARE
    part record;
BEGIN
    PERFORM pg_advisory_xact_lock(7817238011);  -- one at a time
    IF (SELECT max(version) FROM notify.xnovu_migration) > {version} THEN
        RETURN;
    END IF;
    CREATE TABLE IF NOT EXISTS notify.xnovu_function (
        name text PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
    PERFORM set_config('check_function_bodies', 'off', true);  -- so that they may come in any order
    FOR part IN VALUES
{parts}
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM notify.xnovu_function f
                              WHERE f.name = part.column1 AND f.checksum = part.column2);
        EXECUTE part.column3;
        INSERT INTO notify.xnovu_function (name, checksum) VALUES (part.column1, part.column2)
        ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at;
    END LOOP;
    PERFORM pg_notify('pgrst', 'reload schema');  -- PostgREST keeps it in memory
END $xnovu$;
