-- Whoever holds messages under these tokens (JSON) has them for `lease_seconds` from now, and reads the mailbox so long.
-- Says how many they are.
CREATE OR REPLACE FUNCTION notify.keep_messages(mailbox text, tokens jsonb, lease_seconds double precision) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    kept int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    UPDATE notify.xnovu_mailbox m SET read_until = now() + make_interval(secs => keep_messages.lease_seconds)
    WHERE m.name = keep_messages.mailbox;
    UPDATE notify.xnovu_delivery d SET held_until = now() + make_interval(secs => keep_messages.lease_seconds)
    FROM (SELECT e.message FROM notify.xnovu_delivery e
          WHERE e.mailbox = keep_messages.mailbox AND e.held_until IS NOT NULL
            AND e.token = ANY (ARRAY(SELECT jsonb_array_elements_text(keep_messages.tokens))::uuid[])
          FOR UPDATE SKIP LOCKED) AS held  -- what is being settled needs no keeping
    WHERE d.mailbox = keep_messages.mailbox AND d.message = held.message;
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN kept;
END $$;
