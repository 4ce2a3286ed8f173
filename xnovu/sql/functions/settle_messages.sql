-- What has become of messages that are in hand under this token: [{message, after, spent}, …]. Without `after` it is done
-- with. Else it comes again in so many seconds, and if it was `spent`, as another attempt. Says how many they were.
CREATE OR REPLACE FUNCTION notify.settle_messages(mailbox text, token uuid, fates jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    done int;
    again int;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    DELETE FROM notify.xnovu_delivery d
    USING jsonb_to_recordset(settle_messages.fates) AS f (message bigint, after double precision)
    WHERE d.mailbox = settle_messages.mailbox AND d.message = f.message AND f.after IS NULL
      AND d.token = settle_messages.token;
    GET DIAGNOSTICS done = ROW_COUNT;
    UPDATE notify.xnovu_delivery d
    SET held_until = CASE WHEN f.after > 0 THEN now() + make_interval(secs => f.after) END,
        token = NULL, spent = d.spent + f.spent::int
    FROM jsonb_to_recordset(settle_messages.fates) AS f (message bigint, after double precision, spent boolean)
    WHERE d.mailbox = settle_messages.mailbox AND d.message = f.message AND f.after IS NOT NULL
      AND d.token = settle_messages.token;
    GET DIAGNOSTICS again = ROW_COUNT;
    IF again > 0 THEN
        PERFORM pg_notify('xnovu_mailbox', settle_messages.mailbox);
    END IF;
    RETURN done + again;
END $$;
