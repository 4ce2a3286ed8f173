-- What wake-ups from the write-ahead log read: a publication of the notifications' table.
--
-- Whoever may not make one does without: the other wake-ups do not need it. A table that cannot
-- name its rows (no primary key, no other replica identity) is published for inserts alone, since
-- Postgres refuses every update of a table that publishes updates and cannot. No column is left
-- out, for the same reason: it would bind the platform to the replica identity of today.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'xnovu_wake') THEN
        EXECUTE format(
            'CREATE PUBLICATION xnovu_wake FOR TABLE notify.ent_notification WITH (publish = %L)',
            (SELECT CASE WHEN c.relreplident = 'f' OR EXISTS (
                             SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid
                             AND CASE c.relreplident WHEN 'd' THEN i.indisprimary
                                                     WHEN 'i' THEN i.indisreplident END)
                         THEN 'insert, update' ELSE 'insert' END
             FROM pg_catalog.pg_class c WHERE c.oid = 'notify.ent_notification'::regclass));
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END $$;
