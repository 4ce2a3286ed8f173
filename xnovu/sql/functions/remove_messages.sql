-- Take messages (numbers, JSON) out for good, whoever has not settled them. Says how many there were.
CREATE OR REPLACE FUNCTION notify.remove_messages(numbers jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    wanted constant bigint[] := ARRAY(SELECT jsonb_array_elements_text(remove_messages.numbers))::bigint[];
    gone int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    DELETE FROM notify.xnovu_delivery d USING notify.xnovu_mailbox m
    WHERE d.mailbox = m.name AND d.message = ANY (wanted);
    DELETE FROM notify.xnovu_message t WHERE t.id = ANY (wanted);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
