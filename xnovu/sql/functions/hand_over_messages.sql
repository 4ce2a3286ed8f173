-- Give a mailbox these messages (numbers, JSON) once more, as if they had just come. What it has not settled yet it has
-- already. Says how many it was given.
CREATE OR REPLACE FUNCTION notify.hand_over_messages(mailbox text, numbers jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    given int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    INSERT INTO notify.xnovu_delivery (mailbox, message, express)
    SELECT m.name, t.id, false
    FROM notify.xnovu_mailbox m, notify.xnovu_message t
    WHERE m.name = hand_over_messages.mailbox AND t.kind = ANY (m.kinds)
      AND t.id = ANY (ARRAY(SELECT jsonb_array_elements_text(hand_over_messages.numbers))::bigint[])
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS given = ROW_COUNT;
    PERFORM pg_notify('xnovu_mailbox', hand_over_messages.mailbox);
    RETURN given;
END $$;
