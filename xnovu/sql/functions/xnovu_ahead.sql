-- The next rows, `most` at the most, of an enterprise of which some workflow is limited: among its first
-- thousand, so far as its workflows may have more. A workflow's limit is one claimer's at a time, likewise;
-- and not so that rows that refer to it could not be inserted meanwhile.
CREATE OR REPLACE FUNCTION notify.xnovu_ahead(whose notify.ent_notification.enterprise_id%TYPE, most int)
RETURNS TABLE (id notify.ent_notification.id%TYPE, enterprise_id notify.ent_notification.enterprise_id%TYPE,
               rank double precision, deadline timestamptz, due timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    mine text[];
BEGIN
    SELECT array_agg(locked.reference) INTO mine FROM (
        SELECT notify.xnovu_reference(w)::text AS reference FROM notify.ent_notification_workflow w
        WHERE w.enterprise_id = whose AND w.concurrency IS NOT NULL
        FOR NO KEY UPDATE SKIP LOCKED) AS locked;

    RETURN QUERY
    WITH limited AS MATERIALIZED (
        SELECT notify.xnovu_reference(w)::text AS reference, min(w.concurrency) AS most
        FROM notify.ent_notification_workflow w
        WHERE w.enterprise_id = whose AND w.concurrency IS NOT NULL GROUP BY 1
    ), in_hand AS MATERIALIZED (
        SELECT n.notification_workflow_id::text AS reference, count(*) AS rows FROM notify.ent_notification n
        WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id = whose GROUP BY 1
    ), ahead AS MATERIALIZED (
        SELECT n.id, n.notification_workflow_id::text AS reference,
               notify.xnovu_rank(n.scheduled_for, n.created_at, n.priority) AS rank,
               coalesce(n.expires_at, 'infinity') AS deadline,
               coalesce(greatest(n.scheduled_for, n.created_at), '-infinity') AS due
        FROM notify.ent_notification n
        WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
          AND n.enterprise_id IS NOT NULL AND n.enterprise_id = whose AND n.unpublished IS NULL
          AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
        ORDER BY rank, deadline, due, n.id
        LIMIT 1000
    ), numbered AS (
        SELECT a.*, row_number() OVER (PARTITION BY a.reference ORDER BY a.rank, a.deadline, a.due, a.id) AS nth
        FROM ahead a
    ), free AS MATERIALIZED (
        SELECT n.id, n.rank, n.deadline, n.due
        FROM numbered n LEFT JOIN limited l USING (reference) LEFT JOIN in_hand h USING (reference)
        WHERE l.reference IS NULL OR (l.reference = ANY (mine) AND n.nth <= l.most - coalesce(h.rows, 0))
        ORDER BY n.rank, n.deadline, n.due, n.id LIMIT xnovu_ahead.most
    )
    SELECT n.id, n.enterprise_id, f.rank::double precision, f.deadline, f.due
    FROM free f JOIN notify.ent_notification n ON n.id = f.id AND n.enterprise_id = whose
    WHERE coalesce(n.notification_status = 'PENDING', false)
    FOR NO KEY UPDATE OF n SKIP LOCKED;
END $$;
