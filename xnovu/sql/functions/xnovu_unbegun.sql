-- Which rows (as `id enterprise_id`) are told to be sent, and have no send record that says that anybody began to.
CREATE OR REPLACE FUNCTION notify.xnovu_unbegun(outcomes jsonb) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT coalesce(array_agg(told.id || ' ' || told.enterprise_id), '{}')
    FROM notify.xnovu_told(xnovu_unbegun.outcomes) AS told
    LEFT JOIN notify.xnovu_sending s
        ON s.id = told.id AND s.enterprise_id = told.enterprise_id AND s.generation = told.generation
    WHERE NOT told.failed AND s.id IS NULL
$$;
