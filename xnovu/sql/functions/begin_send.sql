DROP FUNCTION IF EXISTS notify.begin_send(
    jsonb, uuid, double precision, double precision, double precision, jsonb);

-- May these rows be sent? Writes the send records of those that are the caller's for `lease_seconds`, in which he
-- may begin requests, and answers for each row:
--   send        nobody can have begun to send it
--   check       somebody may have: look it up. What is not found in `seconds` was not sent; 0: send it then
--   busy        somebody may be sending it, for `seconds` more
--   late        it is past its deadline, and nobody can have begun to send it
--   late_check  it is past its deadline, and somebody may have: look it up, as above, but do not send it
--   forgotten   somebody may have, longer than `remembered_seconds` ago: look it up, and never send it, for the provider
--               may know of it no more
--   differs     the row says otherwise than `keys` do, where they say it: to whom it goes (`recipients`), by which
--               workflow (`workflow_key`) and under which `transaction_id`; or its enterprise may not override what they do
--               (`overridden`: keys). Nothing is written of it
-- A row without an answer is not PROCESSING under this claim. `settle_seconds` after a request a look-up finds what
-- became of it. Claims are kept for `hold_seconds`. `lost` are tokens of the caller's whose answers never came.
--
-- The last statement sees every retraction that was committed before it; one that is committed after it finds the
-- records (notify.begin_retraction). So nothing is sent of which it was told that it is stopped.
CREATE OR REPLACE FUNCTION notify.begin_send(
    keys jsonb, token uuid, lease_seconds double precision, settle_seconds double precision,
    hold_seconds double precision, lost jsonb DEFAULT '[]', remembered_seconds double precision DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, verdict text, seconds double precision)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    differing constant text[] := notify.xnovu_differing(begin_send.keys);
    agreeing constant jsonb := CASE WHEN differing = '{}' THEN begin_send.keys ELSE (
        SELECT coalesce(jsonb_agg(k), '[]') FROM jsonb_array_elements(begin_send.keys) AS k
        WHERE (k ->> 'id') || ' ' || (k ->> 'enterprise_id') <> ALL (differing)) END;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM notify.xnovu_keep(agreeing, 'PROCESSING', begin_send.hold_seconds);

    INSERT INTO notify.xnovu_sending AS s (id, enterprise_id, generation, token, until, sends, begun_at)
    SELECT DISTINCT ON (key.id, key.enterprise_id) key.id, key.enterprise_id, key.generation, begin_send.token,
           now() + make_interval(secs => begin_send.lease_seconds), true, now()
    FROM jsonb_to_recordset(agreeing) AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    WHERE coalesce(n.notification_status = 'PROCESSING', false)
      AND n.generation = key.generation AND n.claims = key.claims
    ORDER BY key.id, key.enterprise_id
    ON CONFLICT (id, enterprise_id) DO UPDATE
        SET generation = excluded.generation, token = excluded.token, until = excluded.until,
            doubt = notify.xnovu_doubt(s, excluded.generation, begin_send.settle_seconds, begin_send.lost),
            sends = coalesce(notify.xnovu_doubt(
                s, excluded.generation, begin_send.settle_seconds, begin_send.lost) <= now(), true),
            begun_at = CASE WHEN notify.xnovu_doubt(
                s, excluded.generation, begin_send.settle_seconds, begin_send.lost) IS NULL THEN excluded.begun_at
                ELSE coalesce(s.begun_at, s.until) END
        WHERE s.until <= now() OR begin_send.lost ? s.token::text;

    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims,
           CASE WHEN key.id || ' ' || key.enterprise_id = ANY (differing) THEN 'differs'
                WHEN s.token IS DISTINCT FROM begin_send.token THEN 'busy'
                WHEN s.doubt IS NOT NULL
                     AND s.begun_at < now() - make_interval(secs => begin_send.remembered_seconds) THEN 'forgotten'
                WHEN coalesce(n.expires_at > now(), true) THEN CASE WHEN s.doubt IS NULL THEN 'send' ELSE 'check' END
                ELSE CASE WHEN s.doubt IS NULL THEN 'late' ELSE 'late_check' END END,
           greatest(0, extract(epoch FROM CASE WHEN s.token = begin_send.token THEN s.doubt ELSE s.until END - now()))
               ::double precision
    FROM jsonb_to_recordset(begin_send.keys) AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    LEFT JOIN notify.xnovu_sending s ON s.id = key.id AND s.enterprise_id = key.enterprise_id
    WHERE coalesce(n.notification_status = 'PROCESSING', false)
      AND n.generation = key.generation AND n.claims = key.claims;
END $$;
