-- One row's trouble is that row's: what cannot be written is set aside, what is not published waits for that, and a row
-- that is new is new, whatever id it was inserted under.

-- Rows that could not be changed, not even to FAILED. They are passed by until then.
CREATE TABLE IF NOT EXISTS notify.xnovu_set_aside (
    id bigint NOT NULL,
    enterprise_id text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    tries int NOT NULL DEFAULT 1,
    said text NOT NULL,
    PRIMARY KEY (id, enterprise_id)
);

COMMENT ON TABLE notify.xnovu_set_aside IS
    'Rows that a constraint or a trigger of the platform lets nobody change: they are tried again at `until`.';
COMMENT ON COLUMN notify.xnovu_set_aside.said IS 'Which column, constraint or function refused it, and the SQLSTATE; never a value.';

-- Rows that ended FAILED within a claim, until an event has told of it. What became of the row since is all the same.
CREATE TABLE IF NOT EXISTS notify.xnovu_untold (
    enterprise_id text NOT NULL,
    id bigint NOT NULL,
    generation int NOT NULL,
    claims int NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    transaction_id text,
    error_details jsonb NOT NULL,
    PRIMARY KEY (enterprise_id, id, generation, claims)
);

COMMENT ON TABLE notify.xnovu_untold IS
    'Rows that ended FAILED in the database itself, until ingest has published an event for each.';

DO $$
BEGIN
    IF to_regtype('notify.xnovu_pick') IS NULL THEN
        CREATE TYPE notify.xnovu_pick AS (id bigint, enterprise_id text, claimed_until timestamptz, express boolean);
    END IF;
END $$;

-- Since when it may have been sent: the provider does not remember it for ever.
ALTER TABLE notify.xnovu_sending ADD COLUMN IF NOT EXISTS begun_at timestamptz;

COMMENT ON COLUMN notify.xnovu_sending.begun_at IS 'When the first request that is in doubt may have begun.';

-- Whoever was numbered before, by a row that is gone or in another database, is another row: message ids, transaction
-- ids and send records are all of one generation.
DO $$
BEGIN
    IF (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
        JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = 'notify.ent_notification'::regclass AND a.attname = 'generation') = '0' THEN
        ALTER TABLE notify.ent_notification
            ALTER COLUMN generation SET DEFAULT (1 + floor(random() * 1000000000))::int;
    END IF;
END $$;

COMMENT ON COLUMN notify.ent_notification.generation IS
    'Which sending of the row: random for a new row, one more with each re-drive.';

-- Two rows of one transaction id: the provider would take the second for a repeat of the first.
CREATE INDEX IF NOT EXISTS ent_notification_xnovu_transaction ON notify.ent_notification (transaction_id)
    WHERE transaction_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS ent_notification_xnovu_retracted_of_enterprise
    ON notify.ent_notification (enterprise_id, claimed_until)
    WHERE notification_status = 'RETRACTED' AND claimed_until IS NOT NULL;

-- Where the platform's rows can be drafts, those are no rows of the queue: functions/xnovu_published.sql.
ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS unpublished boolean;

COMMENT ON COLUMN notify.ent_notification.unpublished IS
    'By the platform''s publish_status and deactivated: the row is not due before it is published. Null: it is.';

-- To whom an enterprise may send, and what of a workflow it may override.
ALTER TABLE notify.xnovu_enterprise
    ADD COLUMN IF NOT EXISTS recipient_prefix text CHECK (recipient_prefix <> ''),
    ADD COLUMN IF NOT EXISTS overrides_allowed text[];

COMMENT ON COLUMN notify.xnovu_enterprise.recipient_prefix IS
    'What each of its recipients begins with; null: anything.';
COMMENT ON COLUMN notify.xnovu_enterprise.overrides_allowed IS
    'The keys that its overrides may have, such as email; empty: none, null: any.';

-- Rows of no enterprise are nobody's turn: they are found here. Also where the column refuses NULL: before Postgres 17
-- the planner does not see that there are none.
CREATE INDEX IF NOT EXISTS ent_notification_xnovu_nobodys ON notify.ent_notification (id)
    WHERE notification_status = 'PENDING' AND enterprise_id IS NULL AND unpublished IS NULL;

DO $$
DECLARE
    anybody text := (SELECT CASE WHEN attnotnull THEN '' ELSE ' AND enterprise_id IS NOT NULL' END
                     FROM pg_catalog.pg_attribute
                     WHERE attrelid = 'notify.ent_notification'::regclass AND attname = 'enterprise_id');
    published text := (
        SELECT string_agg(CASE attname WHEN 'publish_status' THEN 'publish_status::text = ''PUBLISH'''
                                       ELSE 'deactivated IS NOT TRUE' END, ' AND ')
        FROM pg_catalog.pg_attribute
        WHERE attrelid = 'notify.ent_notification'::regclass AND NOT attisdropped
          AND attname IN ('publish_status', 'deactivated'));
    draft record;
BEGIN
    IF published IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('UPDATE notify.ent_notification SET unpublished = true
                        WHERE notification_status = ''PENDING'' AND (%s) IS NOT TRUE', published);
        SET CONSTRAINTS ALL IMMEDIATE;
    EXCEPTION WHEN OTHERS OR assert_failure THEN  -- then one by one: some cannot be changed, and end as such
        FOR draft IN EXECUTE format('SELECT ctid AS place FROM notify.ent_notification
                                     WHERE notification_status = ''PENDING'' AND (%s) IS NOT TRUE FOR UPDATE', published)
        LOOP
            BEGIN
                UPDATE notify.ent_notification SET unpublished = true WHERE ctid = draft.place;
                SET CONSTRAINTS ALL IMMEDIATE;
            EXCEPTION WHEN integrity_constraint_violation OR raise_exception OR assert_failure THEN
                NULL;
            END;
        END LOOP;
    END;
    DROP INDEX notify.ent_notification_xnovu_ready;
    DROP INDEX notify.ent_notification_xnovu_scheduled;
    DROP INDEX notify.ent_notification_xnovu_scheduled_of_enterprise;
    EXECUTE 'CREATE INDEX ent_notification_xnovu_ready ON notify.ent_notification
        (enterprise_id,
         (CASE WHEN isfinite(greatest(scheduled_for, created_at))
               THEN floor(date_part(''epoch'', greatest(scheduled_for, created_at) - ''2000-01-01Z''::timestamptz) / 3600)
               ELSE 0 END - 2 * least(greatest(coalesce(priority, 0), -100), 100)),
         (coalesce(expires_at, ''infinity'')), (coalesce(greatest(scheduled_for, created_at), ''-infinity'')), id)
        WHERE notification_status = ''PENDING'' AND (scheduled_for IS NULL OR armed_for = scheduled_for)
          AND unpublished IS NULL' || anybody;
    EXECUTE 'CREATE INDEX ent_notification_xnovu_scheduled ON notify.ent_notification (scheduled_for)
        WHERE notification_status = ''PENDING'' AND armed_for IS DISTINCT FROM scheduled_for
          AND unpublished IS NULL' || anybody;
    EXECUTE 'CREATE INDEX ent_notification_xnovu_scheduled_of_enterprise ON notify.ent_notification
        (enterprise_id, scheduled_for)
        WHERE notification_status = ''PENDING'' AND armed_for IS DISTINCT FROM scheduled_for
          AND unpublished IS NULL' || anybody;
END $$;

-- Whom a line of the audit names as its actor is what the session says; who that was is Postgres's word.
ALTER TABLE notify.ent_notification_audit ADD COLUMN IF NOT EXISTS login text, ADD COLUMN IF NOT EXISTS role text;
ALTER TABLE notify.ent_notification_audit
    ALTER COLUMN login SET DEFAULT session_user,
    ALTER COLUMN role SET DEFAULT nullif(current_setting('role'), 'none');

COMMENT ON COLUMN notify.ent_notification_audit.actor IS 'Who it was by its own word (xnovu.actor), else the role.';
COMMENT ON COLUMN notify.ent_notification_audit.login IS 'As whom the session had logged in. Null: before version 21.';
COMMENT ON COLUMN notify.ent_notification_audit.role IS 'The role it had then set (SET ROLE); null: none.';
