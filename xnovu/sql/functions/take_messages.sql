-- Up to `most` messages of a mailbox, for `lease_seconds`: express ones first, then as they came. What was in hand when
-- its worker vanished is given alone: it may be why. Asked again with the same token, it gives the same: an answer may
-- be lost. `attempt` counts from 1, `vanished` are those of them whose worker was never heard of again.
--
-- With nothing to give there is one line without a message: `wait` seconds from now there may be something (null: nobody
-- knows); `missing`: there is no such mailbox.
DROP FUNCTION IF EXISTS notify.take_messages(text, uuid, int, double precision);
CREATE OR REPLACE FUNCTION notify.take_messages(
    mailbox text, token uuid, most int, lease_seconds double precision)
RETURNS TABLE (message bigint, kind text, enterprise_id text, stage text, headers text, body text, attempt int,
               vanished int, wait double precision, missing boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    box notify.xnovu_mailbox;
    chosen bigint[];
    at timestamptz;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    SELECT * INTO box FROM notify.xnovu_mailbox m WHERE m.name = take_messages.mailbox;
    IF box.name IS NULL OR box.paused_until > now() THEN
        RETURN QUERY SELECT NULL::bigint, NULL, NULL, NULL, NULL, NULL, 0, 0,
            extract(epoch FROM box.paused_until - now())::double precision, box.name IS NULL;
        RETURN;
    END IF;

    chosen := ARRAY(SELECT d.message FROM notify.xnovu_delivery d
                    WHERE d.mailbox = take_messages.mailbox AND d.held_until IS NOT NULL
                      AND d.token = take_messages.token);
    IF chosen = '{}' THEN
        UPDATE notify.xnovu_delivery d
        SET held_until = NULL, token = NULL, vanished = d.vanished + (d.token IS NOT NULL)::int
        FROM (SELECT e.message FROM notify.xnovu_delivery e
              WHERE e.mailbox = take_messages.mailbox AND e.held_until <= now()
              ORDER BY e.held_until LIMIT 1000 FOR UPDATE SKIP LOCKED) AS due
        WHERE d.mailbox = take_messages.mailbox AND d.message = due.message;

        WITH next AS (
            SELECT d.message, d.vanished > 0 AS suspect, row_number() OVER () AS place
            FROM (SELECT e.message, e.vanished FROM notify.xnovu_delivery e
                  WHERE e.mailbox = take_messages.mailbox AND e.held_until IS NULL
                  ORDER BY e.express DESC, e.message LIMIT take_messages.most FOR UPDATE SKIP LOCKED) AS d)
        SELECT coalesce(array_agg(n.message), '{}') INTO chosen FROM next n
        WHERE CASE WHEN (SELECT f.suspect FROM next f WHERE f.place = 1) THEN n.place = 1 ELSE NOT n.suspect END;

        UPDATE notify.xnovu_delivery d
        SET token = take_messages.token, held_until = now() + make_interval(secs => take_messages.lease_seconds)
        WHERE d.mailbox = take_messages.mailbox AND d.message = ANY (chosen);
    END IF;

    IF chosen = '{}' THEN
        SELECT min(d.held_until) INTO at FROM notify.xnovu_delivery d
        WHERE d.mailbox = take_messages.mailbox AND d.held_until IS NOT NULL;
        RETURN QUERY SELECT NULL::bigint, NULL, NULL, NULL, NULL, NULL, 0, 0,
            greatest(0, extract(epoch FROM at - clock_timestamp()))::double precision, false;
        RETURN;
    END IF;
    -- What retention has taken meanwhile is settled: there is nothing to be given.
    DELETE FROM notify.xnovu_delivery d
    WHERE d.mailbox = take_messages.mailbox AND d.message = ANY (chosen)
      AND NOT EXISTS (SELECT FROM notify.xnovu_message t WHERE t.id = d.message);
    RETURN QUERY
    SELECT t.id, t.kind, t.enterprise_id, t.stage, t.headers::text, encode(t.body, 'base64'),
           d.spent + d.vanished + 1, d.vanished, NULL::double precision, false
    FROM notify.xnovu_delivery d JOIN notify.xnovu_message t ON t.id = d.message
    WHERE d.mailbox = take_messages.mailbox AND d.message = ANY (chosen)
    ORDER BY d.express DESC, t.id;
END $$;
