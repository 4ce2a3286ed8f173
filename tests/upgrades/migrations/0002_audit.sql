-- Every transition leaves a line in an append-only table, whoever made it; and whoever listens is
-- told when rows have come that may be due. Statement-level: one pass however many rows changed.

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

-- Whoever pays the bill may want to prune: the owner can, by disabling the trigger for the while.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'notify.ent_notification_audit is append-only' USING ERRCODE = '42501';
END $$;

CREATE OR REPLACE TRIGGER xnovu_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON notify.ent_notification_audit
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_refuse();

-- SECURITY DEFINER: a platform's role that may update notifications need not be able to write the
-- audit itself. Nested loops are off because a plan made for one row would be kept for 10,000.
CREATE OR REPLACE FUNCTION notify.xnovu_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    who text := coalesce(
        nullif(current_setting('xnovu.actor', true), ''),
        nullif(current_setting('role'), 'none'),
        session_user);
BEGIN
    INSERT INTO notify.ent_notification_audit
        (notification_id, enterprise_id, generation, claims, from_status, to_status, actor, details)
    SELECT n.id, n.enterprise_id, n.generation, n.claims,
           o.notification_status::text, n.notification_status::text, who,
           CASE WHEN n.notification_status = 'FAILED' THEN to_jsonb(n.error_details)
                WHEN n.notification_status = 'RETRACTED'
                THEN jsonb_build_object('reason', n.retraction_reason) END
    FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.enterprise_id = n.enterprise_id
    WHERE o.notification_status IS DISTINCT FROM n.notification_status
       OR o.claims <> n.claims OR o.generation <> n.generation
    ORDER BY n.id;

    IF EXISTS (SELECT FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.enterprise_id = n.enterprise_id
               WHERE n.notification_status IN ('PENDING', 'RETRACTED')
                 AND (o.notification_status IS DISTINCT FROM n.notification_status
                      OR o.scheduled_for IS DISTINCT FROM n.scheduled_for)) THEN
        PERFORM pg_notify('xnovu_wake', '');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER xnovu_audit
    AFTER UPDATE ON notify.ent_notification
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_audit();

CREATE OR REPLACE FUNCTION notify.xnovu_wake() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('xnovu_wake', '');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER xnovu_wake
    AFTER INSERT ON notify.ent_notification
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_wake();
