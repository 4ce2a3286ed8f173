-- What an enterprise with a rate may claim at this moment, a second's worth or one row at most; null without.
CREATE OR REPLACE FUNCTION notify.xnovu_tokens(e notify.xnovu_enterprise) RETURNS double precision
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(greatest(1, e.rate), coalesce(e.tokens + e.rate * extract(epoch FROM
        greatest(interval '0', clock_timestamp() - e.refilled_at)), greatest(1, e.rate)))
    WHERE e.rate IS NOT NULL
$$;
