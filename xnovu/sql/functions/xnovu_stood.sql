-- What a retracted row was before and since when it is retracted; and since when no stage has had it
-- in hand to send. The audit knows best: a platform may write what it likes into its own columns.
CREATE OR REPLACE FUNCTION notify.xnovu_stood(n notify.ent_notification)
RETURNS TABLE (previous text, at timestamptz, quiet_since timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT CASE WHEN trail.previous IN ('PENDING', 'SENT', 'FAILED') THEN trail.previous ELSE 'PROCESSING' END,
           coalesce(trail.at, n.retracted_at, now()),
           coalesce(trail.left_hand, trail.at, n.retracted_at, n.created_at, 'epoch')
    FROM (
        SELECT (array_agg(a.from_status ORDER BY a.id DESC) FILTER (WHERE back))[1] AS previous,
               max(a.at) FILTER (WHERE back) AS at,
               max(a.at) FILTER (WHERE a.generation = n.generation AND a.from_status = 'PROCESSING'
                                   AND a.to_status <> 'PROCESSING') AS left_hand
        FROM notify.ent_notification_audit a,
             LATERAL (SELECT a.to_status = 'RETRACTED' AND a.from_status <> 'RETRACTED') AS taken (back)
        WHERE a.notification_id = n.id AND a.enterprise_id = n.enterprise_id) AS trail
$$;
