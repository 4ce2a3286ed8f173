-- Whether there is something to tell (notify.untold), of one enterprise where one is named.
CREATE OR REPLACE FUNCTION notify.xnovu_is_untold(of_enterprise text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    SELECT CASE WHEN xnovu_is_untold.of_enterprise IS NULL THEN EXISTS (SELECT FROM notify.xnovu_untold)
                ELSE EXISTS (SELECT FROM notify.xnovu_untold u
                             WHERE u.enterprise_id = xnovu_is_untold.of_enterprise) END
$$;
