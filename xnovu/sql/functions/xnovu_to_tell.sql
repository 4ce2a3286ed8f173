-- This row has just ended FAILED: it is kept in notify.xnovu_untold. Of a row of no enterprise nobody can be told.
CREATE OR REPLACE FUNCTION notify.xnovu_to_tell(which bigint, of_enterprise text, details jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    INSERT INTO notify.xnovu_untold (enterprise_id, id, generation, claims, transaction_id, error_details)
    SELECT n.enterprise_id::text, n.id, n.generation, n.claims, n.transaction_id::text, xnovu_to_tell.details
    FROM notify.ent_notification n
    WHERE n.id = which AND n.enterprise_id::text = of_enterprise
    ON CONFLICT DO NOTHING
$$;
