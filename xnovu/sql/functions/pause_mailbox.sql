-- Have nothing given out of a mailbox for so many seconds; null: have it given out again. Says whether there is one.
CREATE OR REPLACE FUNCTION notify.pause_mailbox(mailbox text, seconds double precision, reason text DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    is_there boolean;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    UPDATE notify.xnovu_mailbox m
    SET paused_until = now() + make_interval(secs => pause_mailbox.seconds), paused_because = pause_mailbox.reason
    WHERE m.name = pause_mailbox.mailbox;
    is_there := FOUND;
    PERFORM pg_notify('xnovu_mailbox', pause_mailbox.mailbox);
    RETURN is_there;
END $$;
