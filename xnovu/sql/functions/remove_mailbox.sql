-- Take a mailbox away, with what waits for it. Says whether there was one.
CREATE OR REPLACE FUNCTION notify.remove_mailbox(mailbox text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    is_there boolean;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM pg_advisory_xact_lock(7817238014);  -- nobody publishes meanwhile
    DELETE FROM notify.xnovu_mailbox m WHERE m.name = remove_mailbox.mailbox;
    is_there := FOUND;
    DELETE FROM notify.xnovu_delivery d WHERE d.mailbox = remove_mailbox.mailbox;
    RETURN is_there;
END $$;
