-- Give up send records that `token` holds; what another holds by now is left alone. `keys` that are `unclear` may have
-- been sent, and no request of theirs is under way any more. The others were surely not sent by this call: their
-- records go, unless somebody may have sent them before.
CREATE OR REPLACE FUNCTION notify.end_send(keys jsonb, token uuid) RETURNS TABLE (id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT notify.xnovu_refuse_users();
    WITH mine AS MATERIALIZED (
        SELECT s.id, s.enterprise_id, k.unclear, k.unclear OR s.doubt IS NOT NULL AS stays
        FROM jsonb_to_recordset(end_send.keys) AS k (id bigint, enterprise_id text, unclear boolean)
        JOIN notify.xnovu_sending s ON s.id = k.id AND s.enterprise_id = k.enterprise_id
        WHERE s.token = end_send.token
        ORDER BY s.id, s.enterprise_id FOR UPDATE OF s
    ), gone AS (
        DELETE FROM notify.xnovu_sending s USING mine m
        WHERE NOT m.stays AND s.id = m.id AND s.enterprise_id = m.enterprise_id
    )
    UPDATE notify.xnovu_sending s SET until = now(), sends = m.unclear
    FROM mine m WHERE m.stays AND s.id = m.id AND s.enterprise_id = m.enterprise_id
    RETURNING s.id
$$;
