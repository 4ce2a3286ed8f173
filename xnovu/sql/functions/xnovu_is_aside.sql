-- Whether a row is passed by just now (notify.set_aside).
CREATE OR REPLACE FUNCTION notify.xnovu_is_aside(which bigint, of_enterprise text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM notify.xnovu_set_aside a
                   WHERE a.id = which AND a.enterprise_id = of_enterprise AND a.until > now());
END $$;
