-- XNovu's roles: to be granted to logins, never to log in. Made where they are missing, and let into this database's
-- schema; what they may do there says access.sql, which is run after this. Another database of the same server is let
-- alone until the same is run there.
DO $$
DECLARE
    wanted text;
BEGIN
    IF (SELECT max(version) FROM notify.xnovu_migration) > {version} THEN
        RAISE EXCEPTION 'the database is of a newer version of XNovu' USING ERRCODE = 'XN001',
            HINT = 'Let that version do it.';
    END IF;
    FOREACH wanted IN ARRAY '{{xnovu_stage,xnovu_sender}}'::text[] LOOP
        BEGIN
            IF to_regrole(wanted) IS NULL THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN  -- by another database, at the same moment
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role % may not create roles', current_user USING ERRCODE = 'XN001',
                    HINT = 'Let one that may run `CREATE ROLE xnovu_stage NOLOGIN; CREATE ROLE xnovu_sender NOLOGIN`,'
                           ' then `xnovu migrate --roles` again.';
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA notify TO %I', wanted);
        IF NOT has_schema_privilege(wanted, 'notify', 'USAGE') THEN
            RAISE EXCEPTION 'role % may not let others into schema notify', current_user USING ERRCODE = 'XN001',
                HINT = 'Run it as the owner of the schema.';
        END IF;
    END LOOP;
    DELETE FROM notify.xnovu_function WHERE name = 'xnovu_access';
END $$;
