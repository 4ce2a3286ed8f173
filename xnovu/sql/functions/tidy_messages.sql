-- Forget messages that are older than so many seconds, `most` of them at once, settled or not: a row whose message goes
-- is claimed anew. Says how many there were.
CREATE OR REPLACE FUNCTION notify.tidy_messages(older_seconds double precision, most int DEFAULT 5000) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    gone bigint[];
BEGIN
    PERFORM notify.xnovu_refuse_users();
    WITH oldest AS (
        SELECT t.id, t.published_at FROM notify.xnovu_message t ORDER BY t.id LIMIT tidy_messages.most
        FOR UPDATE SKIP LOCKED),
    forgotten AS (
        DELETE FROM notify.xnovu_message t USING oldest o
        WHERE t.id = o.id AND o.published_at < now() - make_interval(secs => tidy_messages.older_seconds)
        RETURNING t.id)
    SELECT coalesce(array_agg(id), '{}') INTO gone FROM forgotten;
    DELETE FROM notify.xnovu_delivery d USING notify.xnovu_mailbox m
    WHERE d.mailbox = m.name AND d.message = ANY (gone);
    RETURN cardinality(gone);
END $$;
