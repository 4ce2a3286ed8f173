-- When the first claim (of those that keep to one enterprise) is taken for that of a dead worker, if it is not handed
-- over before; null: there is none.
CREATE OR REPLACE FUNCTION notify.xnovu_handover_ends(of_enterprise text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(c.until) FROM notify.xnovu_claim c
    WHERE xnovu_handover_ends.of_enterprise IS NULL OR c.of_enterprise = xnovu_handover_ends.of_enterprise
$$;
