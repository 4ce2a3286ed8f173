-- Events of these rows that ended within a claim (notify.untold) are out.
CREATE OR REPLACE FUNCTION notify.told(keys jsonb) RETURNS TABLE (id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT notify.xnovu_refuse_users();
    DELETE FROM notify.xnovu_untold u
    USING jsonb_to_recordset(told.keys) AS k (id bigint, enterprise_id text, generation int, claims int)
    WHERE u.enterprise_id = k.enterprise_id AND u.id = k.id AND u.generation = k.generation AND u.claims = k.claims
    RETURNING u.id
$$;
