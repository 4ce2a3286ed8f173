-- What operators do: who sent what again, and a line in the audit for every such action.

-- An action concerns any number of notifications, or none: its line has no notification.
ALTER TABLE notify.ent_notification_audit
    ALTER COLUMN notification_id DROP NOT NULL,
    ALTER COLUMN generation DROP NOT NULL,
    ALTER COLUMN claims DROP NOT NULL;

CREATE INDEX IF NOT EXISTS ent_notification_audit_operation ON notify.ent_notification_audit (at)
    WHERE notification_id IS NULL;
