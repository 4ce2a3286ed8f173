-- The doubt that the next holder of a send record inherits: from then on, what a look-up does not find was not
-- sent. Null: nobody has begun to send this generation. A call in `lost` never got its answer, and so sent nothing.
CREATE OR REPLACE FUNCTION notify.xnovu_doubt(s notify.xnovu_sending, generation int, settle_seconds double precision,
                                              lost jsonb) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN $1.generation <> $2 THEN NULL
                WHEN $4 ? $1.token::text THEN $1.doubt
                WHEN $1.sends THEN greatest($1.doubt, $1.until + make_interval(secs => $3))
                WHEN $1.sends IS NULL THEN greatest($1.doubt, $1.until)
                ELSE $1.doubt END
$$;
