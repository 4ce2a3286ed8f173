-- XNovu, migration {name}; not to be edited. It may be run again, by whatever means: what has been
-- done is not done twice.

-- A table in use is waited for, but not for so long that all its users queue up behind.
SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '0', true);

DO $xnovu$
BEGIN
    PERFORM pg_advisory_xact_lock(7817238011);  -- one at a time
    IF to_regnamespace('notify') IS NULL THEN
        CREATE SCHEMA notify;
    END IF;
    CREATE TABLE IF NOT EXISTS notify.xnovu_migration (
        version int PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
    IF EXISTS (SELECT FROM notify.xnovu_migration WHERE version = {version} AND checksum <> '{checksum}') THEN
        RAISE EXCEPTION 'migration {name} was changed after it had been applied'
            USING ERRCODE = 'XN001', HINT = 'Restore its text, and put the change into a new one.';
    ELSIF EXISTS (SELECT FROM notify.xnovu_migration WHERE version = {version}) THEN
        RETURN;
    END IF;

    EXECUTE $migration$
{sql}
    $migration$;

    INSERT INTO notify.xnovu_migration (version, name, checksum)
    VALUES ({version}, '{name}', '{checksum}');
    PERFORM pg_notify('pgrst', 'reload schema');  -- PostgREST keeps it in memory
END $xnovu$;
