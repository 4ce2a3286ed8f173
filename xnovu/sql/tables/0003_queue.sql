-- The table as a queue: a row is found by its id, and by when its claim lapses. Finished rows cost nothing.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = 'notify.ent_notification'::regclass
                     AND a.attname = 'id' AND i.indpred IS NULL) THEN
        CREATE INDEX ent_notification_xnovu_id ON notify.ent_notification (id);
    END IF;
END $$;

CREATE INDEX IF NOT EXISTS ent_notification_xnovu_claimed ON notify.ent_notification (claimed_until)
    WHERE notification_status = 'PROCESSING';
