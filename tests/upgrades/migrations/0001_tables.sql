-- The platform's tables. On an existing database this only adds: columns that are missing, and
-- values that its status enum lacks. Anything it cannot work with is named, with the way out.

DO $$
DECLARE
    problem record;
BEGIN
    IF current_setting('server_version_num')::int < 150000 THEN
        RAISE EXCEPTION 'Postgres % is too old: XNovu needs 15 or newer', current_setting('server_version')
            USING ERRCODE = 'XN001';
    END IF;

    -- Columns without which an existing table cannot be understood.
    SELECT * INTO problem
    FROM (VALUES
        ('ent_notification', 'id'),
        ('ent_notification', 'enterprise_id'),
        ('ent_notification', 'notification_status'),
        ('ent_notification_workflow', 'workflow_key'),
        ('ent_notification_workflow', 'enterprise_id')
    ) AS needed (table_name, column_name)
    WHERE to_regclass(format('notify.%I', table_name)) IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = to_regclass(format('notify.%I', table_name))
          AND a.attname = column_name AND NOT a.attisdropped)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'notify.% has no column %', problem.table_name, problem.column_name
            USING ERRCODE = 'XN001',
                  HINT = 'Add it and fill it for the rows there are, then migrate again.';
    END IF;

    -- Columns of a type that the functions could not read or write.
    SELECT usable.*, found.type INTO problem
    FROM (VALUES
        ('ent_notification', 'id', '^(bigint|integer|smallint)$', 'bigint'),
        ('ent_notification', 'enterprise_id', '^(uuid|text|character varying)$', 'uuid'),
        ('ent_notification', 'notification_workflow_id',
            '^(text|character varying|bigint|integer|smallint|uuid)$', 'text or bigint'),
        ('ent_notification', 'payload', '^jsonb?$', 'jsonb'),
        ('ent_notification', 'overrides', '^jsonb?$', 'jsonb'),
        ('ent_notification', 'error_details', '^jsonb?$', 'jsonb'),
        ('ent_notification', 'recipients', '\[\]$', 'uuid[]'),
        ('ent_notification', 'channels', '\[\]$', 'text[]'),
        ('ent_notification', 'tags', '\[\]$', 'text[]'),
        ('ent_notification', 'notification_status', '^(enum|text|character varying)$', 'text'),
        ('ent_notification', 'transaction_id', '^(uuid|text|character varying)$', 'text'),
        ('ent_notification', 'generation', '^(integer|bigint)$', 'integer'),
        ('ent_notification', 'claims', '^(integer|bigint)$', 'integer'),
        ('ent_notification', 'scheduled_for', '^timestamp with time zone$', 'timestamptz'),
        ('ent_notification', 'created_at', '^timestamp with time zone$', 'timestamptz'),
        ('ent_notification', 'claimed_until', '^timestamp with time zone$', 'timestamptz'),
        ('ent_notification', 'expires_at', '^timestamp with time zone$', 'timestamptz'),
        ('ent_notification', 'processed_at', '^timestamp', 'timestamptz'),
        ('ent_notification', 'retracted_at', '^timestamp', 'timestamptz'),
        ('ent_notification', 'updated_at', '^timestamp', 'timestamptz'),
        ('ent_notification', 'retraction_reason', '^(text|character varying)$', 'text'),
        ('ent_notification_workflow', 'workflow_key', '^(text|character varying)$', 'text'),
        ('ent_notification_workflow', 'enterprise_id', '^(uuid|text|character varying)$', 'uuid'),
        ('ent_notification_workflow', 'payload_schema', '^jsonb?$', 'jsonb'),
        ('ent_notification_workflow', 'deactivated', '^boolean$', 'boolean')
    ) AS usable (table_name, column_name, pattern, wanted)
    JOIN LATERAL (
        SELECT CASE t.typtype WHEN 'e' THEN 'enum' ELSE
                 format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) END AS type
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = to_regclass(format('notify.%I', usable.table_name))
          AND a.attname = usable.column_name AND NOT a.attisdropped
    ) AS found ON found.type !~ usable.pattern
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'notify.%.% is of type %, which XNovu cannot work with',
            problem.table_name, problem.column_name, problem.type
            USING ERRCODE = 'XN001', HINT = format(
                'ALTER TABLE notify.%I ALTER COLUMN %I TYPE %s USING …, or rename the column.',
                problem.table_name, problem.column_name, problem.wanted);
    END IF;

    -- A CHECK that would refuse what XNovu has to write.
    SELECT c.conname INTO problem
    FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
    WHERE c.conrelid = to_regclass('notify.ent_notification') AND c.contype = 'c'
      AND a.attname = 'notification_status' AND cardinality(c.conkey) = 1
      AND EXISTS (SELECT FROM unnest('{PENDING,PROCESSING,SENT,FAILED,RETRACTED}'::text[]) status
                  WHERE strpos(pg_get_constraintdef(c.oid), status) = 0)
      AND strpos(pg_get_constraintdef(c.oid), 'PENDING') > 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the constraint % does not allow every notification_status', problem.conname
            USING ERRCODE = 'XN001',
                  HINT = 'It must allow PENDING, PROCESSING, SENT, FAILED and RETRACTED.';
    END IF;
END $$;

DO $$
BEGIN
    IF to_regtype('notify.notification_status') IS NULL THEN
        CREATE TYPE notify.notification_status AS ENUM
            ('PENDING', 'PROCESSING', 'SENT', 'FAILED', 'RETRACTED');
    END IF;
    IF to_regtype('notify.notification_channel') IS NULL THEN
        CREATE TYPE notify.notification_channel AS ENUM ('EMAIL', 'IN_APP', 'SMS', 'PUSH', 'CHAT');
    END IF;
END $$;

-- Vacuumed early: a queue's dead rows are in the way of every claim.
CREATE TABLE IF NOT EXISTS notify.ent_notification (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    enterprise_id uuid NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

ALTER TABLE notify.ent_notification
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS notification_workflow_id text,
    ADD COLUMN IF NOT EXISTS payload jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS recipients uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS channels notify.notification_channel[],
    ADD COLUMN IF NOT EXISTS overrides jsonb,
    ADD COLUMN IF NOT EXISTS tags text[],
    ADD COLUMN IF NOT EXISTS notification_status notify.notification_status NOT NULL DEFAULT 'PENDING',
    ADD COLUMN IF NOT EXISTS transaction_id text,
    ADD COLUMN IF NOT EXISTS scheduled_for timestamptz,
    ADD COLUMN IF NOT EXISTS processed_at timestamptz,
    ADD COLUMN IF NOT EXISTS retracted_at timestamptz,
    ADD COLUMN IF NOT EXISTS retraction_reason text,
    ADD COLUMN IF NOT EXISTS error_details jsonb,
    ADD COLUMN IF NOT EXISTS workflow_version text,
    ADD COLUMN IF NOT EXISTS created_at timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS generation int NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS claims int NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS claimed_until timestamptz,
    ADD COLUMN IF NOT EXISTS priority int NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS expires_at timestamptz;

DO $$
DECLARE
    enterprise text;
    status record;
    value text;
BEGIN
    SELECT format_type(atttypid, NULL) INTO enterprise FROM pg_catalog.pg_attribute
    WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id';
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS notify.ent_notification_workflow (
            id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            workflow_key text NOT NULL,
            enterprise_id %s NOT NULL,
            UNIQUE (enterprise_id, workflow_key))', enterprise);

    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                   WHERE attrelid = 'notify.ent_notification_workflow'::regclass
                     AND attname = 'enterprise_id' AND format_type(atttypid, NULL) = enterprise) THEN
        RAISE EXCEPTION 'enterprise_id is % in ent_notification, but not in ent_notification_workflow',
            enterprise USING ERRCODE = 'XN001', HINT = 'Both must be of one type.';
    END IF;

    SELECT t.typnamespace::regnamespace AS schema, t.typname AS name INTO status
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = 'notify.ent_notification'::regclass
      AND a.attname = 'notification_status' AND t.typtype = 'e';
    IF FOUND THEN
        FOREACH value IN ARRAY '{PENDING,PROCESSING,SENT,FAILED,RETRACTED}'::text[] LOOP
            EXECUTE format('ALTER TYPE %s.%I ADD VALUE IF NOT EXISTS %L',
                           status.schema, status.name, value);
        END LOOP;
    END IF;
END $$;

ALTER TABLE notify.ent_notification_workflow
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS payload_schema jsonb,
    ADD COLUMN IF NOT EXISTS default_channels notify.notification_channel[],
    ADD COLUMN IF NOT EXISTS version text,
    ADD COLUMN IF NOT EXISTS deactivated boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN notify.ent_notification.generation IS 'How often an operator re-drove the row.';
COMMENT ON COLUMN notify.ent_notification.claims IS 'How often XNovu took the row, in this generation.';
COMMENT ON COLUMN notify.ent_notification.claimed_until IS
    'While PROCESSING: when the claim lapses and the row is due again. Null: never.';
COMMENT ON COLUMN notify.ent_notification.expires_at IS 'Not to be sent from then on.';
