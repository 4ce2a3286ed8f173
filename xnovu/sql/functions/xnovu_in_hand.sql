-- This claim's rows are its worker's to hand over within so many seconds; null: it does not say when it has.
CREATE OR REPLACE FUNCTION notify.xnovu_in_hand(token uuid, of_enterprise text, seconds double precision) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO notify.xnovu_claim AS c (token, of_enterprise, until)
    SELECT xnovu_in_hand.token, xnovu_in_hand.of_enterprise, now() + make_interval(secs => xnovu_in_hand.seconds)
    WHERE xnovu_in_hand.seconds IS NOT NULL
    ON CONFLICT (token) DO UPDATE SET until = excluded.until
$$;
