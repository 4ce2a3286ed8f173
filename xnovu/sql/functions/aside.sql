-- Rows that are set aside, the longest first, `most` at the most: which, since when, and what the database said.
CREATE OR REPLACE FUNCTION notify.aside(most int DEFAULT 20, of_enterprise text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, since timestamptz, tries int, said text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    SELECT a.id, a.enterprise_id, a.since, a.tries, a.said FROM notify.xnovu_set_aside a
    WHERE aside.of_enterprise IS NULL OR a.enterprise_id = aside.of_enterprise
    ORDER BY a.since, a.id LIMIT aside.most
$$;
