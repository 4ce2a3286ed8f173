-- Every transition leaves a line in an append-only table, whoever made it: functions/xnovu_audit.sql.

DO $$
BEGIN
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS notify.ent_notification_audit (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            notification_id bigint NOT NULL,
            enterprise_id %s,
            generation int NOT NULL,
            claims int NOT NULL,
            from_status text,
            to_status text,
            at timestamptz NOT NULL DEFAULT now(),
            actor text NOT NULL,
            details jsonb)',
        (SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
         WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id'));
END $$;

-- No foreign key: the trail outlives the row.
CREATE INDEX IF NOT EXISTS ent_notification_audit_notification
    ON notify.ent_notification_audit (notification_id, id);
