-- Whose row is claimed next: enterprises take turns, and each has its own order.

DO $$
DECLARE
    type text := (SELECT format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
                  WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'priority');
BEGIN
    IF type NOT IN ('smallint', 'integer', 'bigint') THEN
        RAISE EXCEPTION 'notify.ent_notification.priority is of type %, which XNovu cannot work with', type
            USING ERRCODE = 'XN001',
                  HINT = 'ALTER TABLE notify.ent_notification ALTER COLUMN priority TYPE int USING …, or rename the column.';
    END IF;
END $$;

ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS armed_for timestamptz;

-- A row that states no priority is to be told from one that states 0: the default that the first migration
-- made is taken back. One of the platform's own is its own affair.
DO $$
BEGIN
    IF (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
        JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = 'notify.ent_notification'::regclass AND a.attname = 'priority') = '0' THEN
        ALTER TABLE notify.ent_notification
            ALTER COLUMN priority DROP DEFAULT, ALTER COLUMN priority DROP NOT NULL;
    END IF;
END $$;

ALTER TABLE notify.ent_notification_workflow ADD COLUMN IF NOT EXISTS priority int;

COMMENT ON COLUMN notify.ent_notification.priority IS
    'Higher goes first among the rows of its enterprise: 1 high, 0 normal, -1 low. Null: its workflow''s, else 0.';
COMMENT ON COLUMN notify.ent_notification_workflow.priority IS 'Of notifications that state none of their own.';
COMMENT ON COLUMN notify.ent_notification.armed_for IS
    'The schedule that has come: the row is ready if it is scheduled_for that. A later one makes it wait again.';

-- What enterprises may have; who has no row here has what everybody has.
CREATE TABLE IF NOT EXISTS notify.xnovu_enterprise (
    enterprise_id text PRIMARY KEY,
    weight int NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000)
);

COMMENT ON COLUMN notify.xnovu_enterprise.weight IS
    'How much is sent for it, compared with others, while more waits than can be sent.';

CREATE INDEX IF NOT EXISTS ent_notification_workflow_xnovu_priority ON notify.ent_notification_workflow (enterprise_id)
    WHERE priority IS NOT NULL;

-- What is ready, by enterprise and in its order. Its rank, the lowest first, is the hour it fell due in, two
-- hours earlier for each step of priority: a higher one overtakes, and nobody is overtaken for ever. A row
-- falls due when it is scheduled for, but not before it was made: who schedules it for the past does not go
-- before who came then. Then the earlier deadline, and first come. And what waits for its time. What was
-- claimed or has ended costs nothing. (Where the column of the enterprise refuses NULL the planner of
-- Postgres 17 and up drops that condition, and would no longer match it with the index's.)
DO $$
DECLARE
    anybody text := (SELECT CASE WHEN attnotnull THEN '' ELSE ' AND enterprise_id IS NOT NULL' END
                     FROM pg_catalog.pg_attribute
                     WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id');
BEGIN
    EXECUTE 'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_ready ON notify.ent_notification
        (enterprise_id,
         (CASE WHEN isfinite(greatest(scheduled_for, created_at))
               THEN floor(date_part(''epoch'', greatest(scheduled_for, created_at) - ''2000-01-01Z''::timestamptz) / 3600)
               ELSE 0 END - 2 * least(greatest(coalesce(priority, 0), -100), 100)),
         (coalesce(expires_at, ''infinity'')), (coalesce(greatest(scheduled_for, created_at), ''-infinity'')), id)
        WHERE notification_status = ''PENDING'' AND (scheduled_for IS NULL OR armed_for = scheduled_for)' || anybody;
    EXECUTE 'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_scheduled ON notify.ent_notification (scheduled_for)
        WHERE notification_status = ''PENDING'' AND armed_for IS DISTINCT FROM scheduled_for' || anybody;
    EXECUTE 'CREATE INDEX IF NOT EXISTS ent_notification_xnovu_scheduled_of_enterprise ON notify.ent_notification
        (enterprise_id, scheduled_for)
        WHERE notification_status = ''PENDING'' AND armed_for IS DISTINCT FROM scheduled_for' || anybody;
END $$;

DROP INDEX IF EXISTS notify.ent_notification_xnovu_due;
DROP INDEX IF EXISTS notify.ent_notification_xnovu_due_of_enterprise;
