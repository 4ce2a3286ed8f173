-- Who may do what: XNovu's own roles, where they have been let in (roles.sql), and Supabase's. What is ours is closed
-- each time this is run, which is after the functions, whenever anything has changed; what a platform may have changed
-- since is left alone. Functions are nobody's that is not named here.

DROP FUNCTION IF EXISTS notify.xnovu_close();

DO $$
DECLARE
    -- What stages and operators call: it does its work as the owner (SECURITY DEFINER), so they need no table. By
    -- xnovu_told, which says what it is told, `./run conformance` learns how many rows an answer may have.
    of_stages constant text[] := '{aside, begin_retraction, begin_send, being_sent, claim, claim_retractions, claimed,
        end_send, failed, history, let_go, limit_enterprise, limit_workflow, limits, load, load_rows, next_due,
        note_operation, overdue, record, record_retractions, redrive, release, retract, retracted, set_aside, state,
        still_wanted, told, transaction_id, untold, waiting, workflows, xnovu_told, keep_messages, mailboxes, open_mailbox,
        pause_mailbox, publish_messages, settle_messages, take_messages, tidy_messages,
        count_messages, hand_over_messages, kept_messages, remove_mailbox, remove_messages}';
    -- What senders call: it inserts as themselves, so that it does no more than they may, nor than policies let them.
    of_senders constant text[] := '{enqueue, xnovu_misfit, xnovu_refuse_unknown}';
    supabase constant boolean := to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL
                                 AND to_regrole('service_role') IS NOT NULL;
    own constant text := 'enterprise_id = (SELECT notify.xnovu_enterprise())';  -- asked once a statement
    settable constant text := (  -- what is a sender's to state
        SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = 'notify.ent_notification'::regclass AND a.attgenerated = ''
          AND a.attname IN (
              'name', 'enterprise_id', 'notification_workflow_id', 'payload', 'recipients', 'channels',
              'overrides', 'tags', 'scheduled_for', 'expires_at', 'priority', 'workflow_version',
              'notification_status'));
    numbering constant text := (  -- what numbers the rows by a default: a sequence of the inserter's own right
        SELECT string_agg(s.oid::regclass::text, ', ')
        FROM pg_catalog.pg_attrdef d
        JOIN pg_catalog.pg_depend used ON used.classid = 'pg_attrdef'::regclass AND used.objid = d.oid
        JOIN pg_catalog.pg_class s ON used.refclassid = 'pg_class'::regclass
             AND s.oid = used.refobjid AND s.relkind = 'S'
        WHERE d.adrelid = 'notify.ent_notification'::regclass);
    stages text;
    senders text;
    target record;
    keeping text;
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

    -- A new function is everyone's until that is revoked, and no default of one schema can change it (it only adds to
    -- the database's). Those of the platform are its own affair. A login to which it granted one that is named here
    -- keeps that.
    FOR target IN
        SELECT p.oid::regprocedure AS function, string_agg(DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ') AS roles
        FROM pg_catalog.pg_proc p
        CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS entry
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = entry.grantee
        WHERE p.pronamespace = 'notify'::regnamespace AND p.proname IN (SELECT f.name FROM notify.xnovu_function f)
          AND entry.grantee <> p.proowner
          AND (p.proname <> ALL (of_stages || of_senders) OR entry.grantee = 0 OR r.rolname IN ('anon', 'authenticated'))
        GROUP BY p.oid
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', target.function, target.roles);
    END LOOP;

    SELECT string_agg(r.rolname, ', ') FILTER (WHERE r.rolname <> 'xnovu_sender'),
           string_agg(r.rolname, ', ') FILTER (WHERE r.rolname <> 'xnovu_stage')
    INTO stages, senders
    FROM pg_catalog.pg_namespace s, LATERAL aclexplode(s.nspacl) AS entry
    JOIN pg_catalog.pg_roles r ON r.oid = entry.grantee
    WHERE s.nspname = 'notify' AND entry.privilege_type = 'USAGE'
      AND r.rolname IN ('xnovu_stage', 'xnovu_sender', 'service_role');
    FOR target IN
        SELECT string_agg(p.oid::regprocedure::text, ', ') AS functions, named.roles
        FROM (VALUES (of_stages, stages), (of_senders, senders)) AS named (functions, roles)
        JOIN pg_catalog.pg_proc p ON p.proname = ANY (named.functions)
        WHERE p.pronamespace = 'notify'::regnamespace AND p.proname IN (SELECT f.name FROM notify.xnovu_function f)
          AND named.roles IS NOT NULL
        GROUP BY named.roles
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', target.functions, target.roles);
    END LOOP;

    -- To which status they may set a row, notify.xnovu_refuse_status says.
    IF senders LIKE '%xnovu_sender%' THEN
        GRANT SELECT, UPDATE (notification_status, retraction_reason) ON notify.ent_notification TO xnovu_sender;
        EXECUTE format('GRANT INSERT (%s) ON notify.ent_notification TO xnovu_sender', settable);
        IF numbering IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO xnovu_sender', numbering);
        END IF;
    END IF;

    IF NOT supabase THEN
        RETURN;
    END IF;
    GRANT INSERT, UPDATE, DELETE ON notify.ent_notification_workflow TO service_role;
    GRANT SELECT, INSERT, UPDATE, DELETE ON notify.xnovu_enterprise TO service_role;
    -- It says no more than the caller's own token does, and the policies below ask it.
    GRANT EXECUTE ON FUNCTION notify.xnovu_enterprise() TO authenticated, service_role;

    -- XNovu's tables are the service key's alone, except where a platform has made a rule of its own for one.
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

    -- An identity column needs no right of the inserter's, but where only some rows bring an id, notify.enqueue takes the
    -- others' from its sequence.
    IF numbering IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO service_role%s', numbering,
                       CASE WHEN 'ent_notification' = ANY (theirs) THEN '' ELSE ', authenticated' END);
    END IF;
    FOR target IN
        SELECT pg_get_serial_sequence(format('notify.%I', name), 'id')::regclass AS sequence
        FROM (VALUES ('ent_notification'), ('ent_notification_workflow')) AS tables (name)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(format('notify.%I', name))
             AND a.attname = 'id' AND NOT a.attisdropped
    LOOP
        CONTINUE WHEN target.sequence IS NULL;
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO service_role', target.sequence);
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
