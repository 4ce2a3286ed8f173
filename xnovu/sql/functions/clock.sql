-- What time it is here: whatever is said of times is said by this clock.
CREATE OR REPLACE FUNCTION notify.clock() RETURNS timestamptz
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT clock_timestamp() $$;
