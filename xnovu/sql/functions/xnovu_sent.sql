-- Only what was at work in version 0.1's notify.record while that was replaced calls this.
CREATE OR REPLACE FUNCTION notify.xnovu_sent(keys jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_forget_sends($1)
$$;
