-- Only stages of version 0.1 call this, while the next version takes over.
-- Who took them up has not sent these, or nobody can tell before `seconds` are over.
CREATE OR REPLACE FUNCTION notify.let_go(keys jsonb, seconds double precision) RETURNS TABLE (id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT notify.xnovu_refuse_users();
    WITH asked AS (
        SELECT s.id, s.enterprise_id
        FROM jsonb_to_recordset(let_go.keys) AS k (id bigint, enterprise_id text, generation int)
        JOIN notify.xnovu_sending s USING (id, enterprise_id, generation)
        WHERE s.sends IS NULL  -- what it took up itself
        ORDER BY s.id, s.enterprise_id FOR UPDATE OF s)
    UPDATE notify.xnovu_sending s SET until = now() + make_interval(secs => let_go.seconds)
    FROM asked a WHERE s.id = a.id AND s.enterprise_id = a.enterprise_id
    RETURNING s.id
$$;
