-- The checksum of all functions and rights.
CREATE OR REPLACE FUNCTION notify.xnovu_functions() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.checksum FROM notify.xnovu_function f WHERE f.name = 'xnovu_access'
$$;
