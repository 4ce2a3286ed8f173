-- Let nobody else send these for so many seconds; returns those that nobody else may be sending. The
-- first of the `tokens` is this call's, the others are of calls whose answers the caller never got.
-- What a stage of this version has begun is left alone for as long again: it may have been sent, and not show yet.
CREATE OR REPLACE FUNCTION notify.xnovu_take_up(keys jsonb, seconds double precision, tokens jsonb)
RETURNS TABLE (id bigint, enterprise_id text)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO notify.xnovu_sending AS s (id, enterprise_id, generation, until, token)
    SELECT DISTINCT ON (k.id, k.enterprise_id) k.id, k.enterprise_id, k.generation,
           now() + make_interval(secs => xnovu_take_up.seconds), (xnovu_take_up.tokens ->> 0)::uuid
    FROM jsonb_to_recordset(xnovu_take_up.keys) AS k (id bigint, enterprise_id text, generation int)
    ORDER BY k.id, k.enterprise_id
    ON CONFLICT (id, enterprise_id) DO UPDATE
        SET until = excluded.until, generation = excluded.generation, token = excluded.token, sends = NULL,
            begun_at = CASE WHEN s.generation = excluded.generation THEN s.begun_at END,
            doubt = notify.xnovu_doubt(s, excluded.generation, xnovu_take_up.seconds, xnovu_take_up.tokens)
        WHERE s.until + make_interval(secs => CASE WHEN s.sends IS NULL THEN 0 ELSE xnovu_take_up.seconds END) <= now()
           OR xnovu_take_up.tokens ? s.token::text
    RETURNING s.id, s.enterprise_id
$$;
