-- Who may do what. On Supabase: what an enterprise's users may do with its notifications through the API, and that
-- the rest is out of their reach. Run after the functions, whenever anything has changed: what is ours is closed
-- each time, what a platform may have changed since is left alone. Without Supabase's roles it grants nothing.

DROP FUNCTION IF EXISTS notify.xnovu_close();

DO $$
DECLARE
    supabase constant boolean := to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL
                                 AND to_regrole('service_role') IS NOT NULL;
    own constant text := 'enterprise_id = (SELECT notify.xnovu_enterprise())';  -- asked once a statement
    functions text;
    target record;
    keeping text;
    settable text;
    allowed text;
    theirs text[] := '{}';  -- tables that have rules of the platform's
BEGIN
    -- The service key comes as this role, through rpc().
    IF to_regrole('service_role') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA notify TO service_role;
        GRANT SELECT, INSERT, UPDATE ON notify.ent_notification TO service_role;
        GRANT SELECT ON notify.ent_notification_workflow, notify.ent_notification_audit, notify.xnovu_migration
            TO service_role;
    END IF;
    IF NOT supabase THEN
        RETURN;
    END IF;
    GRANT INSERT, UPDATE, DELETE ON notify.ent_notification_workflow TO service_role;
    GRANT SELECT, INSERT, UPDATE, DELETE ON notify.xnovu_enterprise TO service_role;

    -- XNovu's functions are the service key's alone. A new function is everyone's until that is revoked, and no
    -- default of one schema can change it (it only adds to the database's). Those of the platform are its own affair.
    SELECT string_agg(p.oid::regprocedure::text, ', ') INTO functions FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'notify'::regnamespace AND p.proname IN (SELECT f.name FROM notify.xnovu_function f);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, anon, authenticated', functions);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', functions);
    -- It says no more than the caller's own token does, and the policies below ask it.
    GRANT EXECUTE ON FUNCTION notify.xnovu_enterprise() TO authenticated;

    -- So are its tables, except where a platform has made a rule of its own for one.
    FOR target IN
        SELECT c.relname AS name, c.relrowsecurity AS guarded FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'notify'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'xnovu\_%'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname NOT LIKE 'xnovu\_%')
    LOOP
        EXECUTE format('REVOKE ALL ON notify.%I FROM anon, authenticated', target.name);
        IF NOT target.guarded THEN
            EXECUTE format('ALTER TABLE notify.%I ENABLE ROW LEVEL SECURITY', target.name);
        END IF;
    END LOOP;

    -- Everything below is done once: the rights and rules that a platform changes afterwards are its own.
    IF EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = 'notify.xnovu_migration'::regclass) THEN
        -- Users do not arm what they schedule: so it is since version 14.
        SELECT pg_get_expr(polwithcheck, polrelid) INTO allowed FROM pg_catalog.pg_policy
        WHERE polrelid = 'notify.ent_notification'::regclass AND polname = 'xnovu_insert';
        IF strpos(allowed, 'armed_for') = 0 THEN
            allowed := allowed || ' AND armed_for IS NULL';
            EXECUTE format('ALTER POLICY xnovu_insert ON notify.ent_notification WITH CHECK (%s)', allowed);
        END IF;
        -- A new row's generation is random: so it is since version 21.
        IF strpos(allowed, '(generation = 0) AND ') > 0 THEN
            EXECUTE format('ALTER POLICY xnovu_insert ON notify.ent_notification WITH CHECK (%s)',
                           replace(allowed, '(generation = 0) AND ', ''));
        END IF;
        RETURN;
    END IF;
    -- The ledger holds no secrets, and whoever runs stages looks at it.
    CREATE POLICY xnovu_read ON notify.xnovu_migration FOR SELECT USING (true);

    -- A table that has row-level security already keeps to its own rules: a policy more would let
    -- more through. The audit tells of notifications, so it follows their table.
    FOR target IN
        SELECT c.oid, c.relname AS name, c.relrowsecurity AS guarded, c.relacl, c.relowner
        FROM pg_catalog.pg_class c
        WHERE c.oid IN ('notify.ent_notification'::regclass, 'notify.ent_notification_workflow'::regclass,
                        'notify.ent_notification_audit'::regclass)
        ORDER BY c.relname
    LOOP
        IF target.guarded THEN
            theirs := theirs || target.name::text;
            RAISE NOTICE 'notify.% has row-level security: its own policies stay alone', target.name;
            CONTINUE;
        END IF;
        EXECUTE format('ALTER TABLE notify.%I ENABLE ROW LEVEL SECURITY', target.name);
        EXECUTE format('REVOKE ALL ON notify.%I FROM anon, authenticated', target.name);

        -- Logins of the platform's own that were let in without rules still are.
        SELECT string_agg(DISTINCT quote_ident(r.rolname), ', ') INTO keeping
        FROM (SELECT target.relacl AS acl UNION ALL
              SELECT a.attacl FROM pg_catalog.pg_attribute a WHERE a.attrelid = target.oid) AS granted,
             LATERAL aclexplode(granted.acl) AS entry
        JOIN pg_catalog.pg_roles r ON r.oid = entry.grantee
        WHERE r.oid <> target.relowner AND NOT r.rolsuper AND NOT r.rolbypassrls
          AND NOT pg_has_role(r.oid, 'anon', 'MEMBER') AND NOT pg_has_role(r.oid, 'authenticated', 'MEMBER');
        IF keeping IS NOT NULL THEN
            EXECUTE format('CREATE POLICY xnovu_kept ON notify.%I TO %s USING (true)', target.name, keeping);
        END IF;

        CONTINUE WHEN target.name = 'ent_notification_audit' AND 'ent_notification' = ANY (theirs);
        EXECUTE format('GRANT SELECT ON notify.%I TO authenticated', target.name);
        EXECUTE format('CREATE POLICY xnovu_read ON notify.%I FOR SELECT TO authenticated USING (%s)',
                       target.name, own);
    END LOOP;

    IF 'ent_notification' <> ALL (theirs) THEN
        GRANT USAGE ON SCHEMA notify TO authenticated;

        -- Users insert what is theirs to state. The rest is XNovu's, and checked as well as not
        -- granted: a GRANT ALL on the schema, as Supabase's guide has it, must not open it.
        SELECT string_agg(quote_ident(a.attname), ', ') INTO settable
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = 'notify.ent_notification'::regclass AND a.attgenerated = ''
          AND a.attname IN (
              'name', 'enterprise_id', 'notification_workflow_id', 'payload', 'recipients', 'channels',
              'overrides', 'tags', 'scheduled_for', 'expires_at', 'priority', 'workflow_version',
              'notification_status');
        EXECUTE format('GRANT INSERT (%s) ON notify.ent_notification TO authenticated', settable);
        EXECUTE format(
            'CREATE POLICY xnovu_insert ON notify.ent_notification FOR INSERT TO authenticated WITH CHECK (
                %s AND notification_status = ''PENDING'' AND claims = 0
                AND claimed_until IS NULL AND claim_token IS NULL AND processed_at IS NULL
                AND error_details IS NULL AND retracted_at IS NULL AND retraction_reason IS NULL%s
                AND armed_for IS NULL)', own,
            (SELECT CASE WHEN a.atthasdef THEN '' ELSE ' AND transaction_id IS NULL' END
             FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = 'notify.ent_notification'::regclass AND a.attname = 'transaction_id'));

        -- And they take back, which nothing undoes.
        GRANT UPDATE (notification_status, retraction_reason) ON notify.ent_notification TO authenticated;
        EXECUTE format(
            'CREATE POLICY xnovu_retract ON notify.ent_notification FOR UPDATE TO authenticated
                USING (%s AND notification_status <> ''RETRACTED'')
                WITH CHECK (%s AND notification_status = ''RETRACTED'')', own, own);
    END IF;

    -- What numbers the rows: a plain default of the caller's own right; an identity column needs none,
    -- but where only some rows bring an id, notify.enqueue takes the others' from its sequence.
    FOR target IN
        SELECT s.oid::regclass AS sequence, 'service_role' ||
               CASE WHEN 'ent_notification' = ANY (theirs) THEN '' ELSE ', authenticated' END AS users
        FROM pg_catalog.pg_attrdef d
        JOIN pg_catalog.pg_depend used ON used.classid = 'pg_attrdef'::regclass AND used.objid = d.oid
        JOIN pg_catalog.pg_class s ON used.refclassid = 'pg_class'::regclass
             AND s.oid = used.refobjid AND s.relkind = 'S'
        WHERE d.adrelid = 'notify.ent_notification'::regclass
        UNION ALL
        SELECT pg_get_serial_sequence(format('notify.%I', name), 'id')::regclass, 'service_role'
        FROM (VALUES ('ent_notification'), ('ent_notification_workflow')) AS tables (name)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(format('notify.%I', name))
             AND a.attname = 'id' AND NOT a.attisdropped
    LOOP
        CONTINUE WHEN target.sequence IS NULL;
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', target.sequence, target.users);
    END LOOP;

    -- Realtime tells of the table that is in its publication. Its filters look at the new row, so the
    -- replica identity may stay what it is: FULL would write every payload to the log once more, and
    -- tell those who may see a row no more than they can read.
    SELECT pubowner INTO target FROM pg_catalog.pg_publication WHERE pubname = 'supabase_realtime';
    IF NOT FOUND OR EXISTS (
        SELECT FROM pg_catalog.pg_publication_tables
        WHERE pubname = 'supabase_realtime' AND schemaname = 'notify' AND tablename = 'ent_notification') THEN
        RETURN;
    ELSIF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid
             AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)
        WHERE c.oid = 'notify.ent_notification'::regclass
          AND (c.relreplident = 'f' OR i.indexrelid IS NOT NULL)) THEN
        -- In a publication of updates such a table can no longer be updated.
        RAISE WARNING 'notify.ent_notification has no primary key: it was not added to supabase_realtime';
    ELSIF NOT pg_has_role(target.pubowner, 'USAGE') THEN
        RAISE WARNING 'supabase_realtime is of %: let that role add notify.ent_notification to it',
            target.pubowner::regrole;
    ELSE
        ALTER PUBLICATION supabase_realtime ADD TABLE notify.ent_notification;
    END IF;
END $$;
