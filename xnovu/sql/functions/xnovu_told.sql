-- Outcomes as rows: keys, with `error_details` for those that failed.
CREATE OR REPLACE FUNCTION notify.xnovu_told(outcomes jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, failed boolean, error_details jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT o.id, o.enterprise_id, o.generation, o.claims, o.error_details IS NOT NULL, o.error_details
    FROM jsonb_to_recordset($1) AS o (id bigint, enterprise_id text, generation int, claims int, error_details jsonb)
$$;
