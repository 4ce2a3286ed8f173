DROP FUNCTION IF EXISTS notify.begin_retraction(jsonb, double precision, double precision);

-- Where retracted rows stand, each under its claim, which is kept for `hold_seconds`: what they were, in how many
-- seconds all that was sent of them surely shows, the outcome where it is known, and under which transaction id and to
-- how many people they went. A row of which there is no send
-- record was never begun, and is stopped: the insert waits for whoever is just writing one (notify.begin_send).
CREATE OR REPLACE FUNCTION notify.begin_retraction(
    keys jsonb, settle_seconds double precision, hold_seconds double precision)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int,
               previous text, seconds double precision, outcome text, transaction_id text, recipients int)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    none constant uuid := gen_random_uuid();
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM notify.xnovu_keep(begin_retraction.keys, 'RETRACTED', begin_retraction.hold_seconds);

    INSERT INTO notify.xnovu_sending AS s (id, enterprise_id, generation, token, until, sends)
    SELECT DISTINCT key.id, key.enterprise_id, 0, none, now(), false
    FROM jsonb_to_recordset(begin_retraction.keys) AS key (id bigint, enterprise_id text)
    ORDER BY key.id, key.enterprise_id
    ON CONFLICT (id, enterprise_id) DO UPDATE SET token = s.token;

    DELETE FROM notify.xnovu_sending s
    USING jsonb_to_recordset(begin_retraction.keys) AS key (id bigint, enterprise_id text)
    WHERE s.id = key.id AND s.enterprise_id = key.enterprise_id AND s.token = none;

    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims, stood.previous,
           greatest(0, extract(epoch FROM CASE
               WHEN stood.previous = 'SENT'
               THEN greatest(stood.quiet_since + make_interval(secs => begin_retraction.settle_seconds), sent.doubt, s.until)
               ELSE greatest(sent.doubt, s.until) END - now()))::double precision,
           coalesce(n.retraction_outcome::text,
                    CASE WHEN stood.previous <> 'SENT' AND sent.doubt IS NULL THEN 'stopped' END),
           notify.xnovu_transaction_id(n.transaction_id::text, n.enterprise_id::text, n.id, n.generation::int)::text,
           coalesce(cardinality(n.recipients), 0)
    FROM jsonb_to_recordset(begin_retraction.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    CROSS JOIN LATERAL notify.xnovu_stood(n) AS stood
    LEFT JOIN notify.xnovu_sending s ON s.id = key.id AND s.enterprise_id = key.enterprise_id
    CROSS JOIN LATERAL notify.xnovu_doubt(
        s, n.generation::int, begin_retraction.settle_seconds, '[]') AS sent (doubt)
    WHERE n.notification_status = 'RETRACTED'
      AND n.generation = key.generation AND n.claims = key.claims;
END $$;
