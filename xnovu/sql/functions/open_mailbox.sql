-- Have a mailbox that reads these kinds of messages from now on. One that is new begins with all messages that are kept,
-- with those since `since`, or with none of them (`since` = infinity). What waits of a kind that it reads no more is
-- taken out of it. Nobody publishes meanwhile (see notify.publish_messages), so that it misses none, and has none twice.
CREATE OR REPLACE FUNCTION notify.open_mailbox(mailbox text, kinds jsonb, since timestamptz DEFAULT '-infinity')
RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    wanted constant text[] := ARRAY(SELECT jsonb_array_elements_text(open_mailbox.kinds));
    found int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    IF EXISTS (SELECT FROM notify.xnovu_mailbox m WHERE m.name = open_mailbox.mailbox AND m.kinds = wanted) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(7817238014);
    INSERT INTO notify.xnovu_delivery (mailbox, message, express)
    SELECT open_mailbox.mailbox, t.id, t.headers ->> 'express' IS NOT NULL FROM notify.xnovu_message t
    WHERE t.kind = ANY (wanted) AND t.published_at >= open_mailbox.since
      AND NOT EXISTS (SELECT FROM notify.xnovu_mailbox m
                      WHERE m.name = open_mailbox.mailbox AND t.kind = ANY (m.kinds))
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS found = ROW_COUNT;
    DELETE FROM notify.xnovu_delivery d USING notify.xnovu_message t
    WHERE d.mailbox = open_mailbox.mailbox AND t.id = d.message AND t.kind <> ALL (wanted);
    INSERT INTO notify.xnovu_mailbox AS m (name, kinds) VALUES (open_mailbox.mailbox, wanted)
    ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds;
    RETURN found;
END $$;
