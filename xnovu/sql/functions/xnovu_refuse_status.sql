-- Who may write the status, but nothing else that is XNovu's, such as the role xnovu_sender, inserts PENDING
-- notifications and takes them back. Anybody else is asked once a statement.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse_status() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM new_rows n WHERE NOT EXISTS (
                           SELECT FROM old_rows o
                           WHERE o.id = n.id AND o.enterprise_id IS NOT DISTINCT FROM n.enterprise_id
                             AND (o.notification_status IS NOT DISTINCT FROM n.notification_status
                                  AND o.retraction_reason IS NOT DISTINCT FROM n.retraction_reason
                                  OR o.notification_status IS DISTINCT FROM 'RETRACTED'
                                     AND n.notification_status = 'RETRACTED'))) THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION 'role % may set a notification to no status but PENDING, at its insert, and RETRACTED', current_user
        USING ERRCODE = '42501';
END $$;

CREATE OR REPLACE TRIGGER xnovu_refuse_insert
    BEFORE INSERT ON notify.ent_notification
    FOR EACH ROW
    WHEN (NEW.notification_status IS DISTINCT FROM 'PENDING'
          AND NOT has_column_privilege('notify.ent_notification', 'claims', 'INSERT'))
    EXECUTE FUNCTION notify.xnovu_refuse_status();

CREATE OR REPLACE TRIGGER xnovu_refuse_update
    AFTER UPDATE ON notify.ent_notification
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT
    WHEN (NOT has_column_privilege('notify.ent_notification', 'claims', 'UPDATE'))
    EXECUTE FUNCTION notify.xnovu_refuse_status();
