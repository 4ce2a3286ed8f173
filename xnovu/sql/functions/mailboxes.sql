-- The mailboxes of these names (null: all): what each reads, how much it has not settled, how much of that may be given
-- out and is not, whether somebody reads it, and for how many seconds more it is paused, and why.
CREATE OR REPLACE FUNCTION notify.mailboxes(names jsonb DEFAULT NULL)
RETURNS TABLE (name text, kinds jsonb, unsettled bigint, queued bigint, is_read boolean, paused double precision,
               reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    SELECT m.name, to_jsonb(m.kinds), d.unsettled, d.queued, m.read_until > now(),
           CASE WHEN m.paused_until > now() THEN extract(epoch FROM m.paused_until - now()) END::double precision,
           m.paused_because
    FROM notify.xnovu_mailbox m
    CROSS JOIN LATERAL (
        SELECT count(*) AS unsettled, count(*) FILTER (WHERE e.held_until IS NULL OR e.held_until <= now()) AS queued
        FROM notify.xnovu_delivery e WHERE e.mailbox = m.name) AS d
    WHERE mailboxes.names IS NULL OR mailboxes.names ? m.name
    ORDER BY m.name;
END $$;
