-- When the next row is tried again that is set aside just now; null: there is none.
CREATE OR REPLACE FUNCTION notify.xnovu_aside_until(of_enterprise text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(a.until) FROM notify.xnovu_set_aside a
    WHERE a.until > now() AND (xnovu_aside_until.of_enterprise IS NULL OR a.enterprise_id = xnovu_aside_until.of_enterprise)
$$;
