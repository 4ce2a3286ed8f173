-- What a row waits for: its schedule, to be published, a limit, its turn; that the database lets it be changed; or that
-- the stages have it, or what takes it back.
-- Null for what has ended. `seconds` says roughly how long, by what was claimed for its enterprise in the last
-- minute; `ahead` are rows of its enterprise that go before it, counted to a thousand, `enterprises` those that
-- have rows ready, counted to a hundred.
CREATE OR REPLACE FUNCTION notify.waiting(notification_id bigint, of_enterprise text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    n notify.ent_notification;
    e notify.xnovu_enterprise;
    w_most int;
    in_hand int;
    w_in_hand int;
    ahead int;
    pace double precision;
    told jsonb;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    SELECT r.* INTO n FROM notify.ent_notification r
    WHERE r.id = waiting.notification_id
      AND (waiting.of_enterprise IS NULL OR r.enterprise_id::text = waiting.of_enterprise);
    SELECT jsonb_build_object('for', 'set_aside', 'since', a.since, 'said', a.said) INTO told
    FROM notify.aside(NULL, coalesce(n.enterprise_id::text, '')) AS a WHERE a.id = n.id;
    CASE
        WHEN told IS NOT NULL AND n.notification_status IN ('PENDING', 'PROCESSING', 'RETRACTED') THEN
            RETURN told;
        WHEN n.notification_status = 'PROCESSING' THEN
            RETURN jsonb_build_object('for', 'stages', 'since', n.updated_at);
        WHEN n.notification_status = 'RETRACTED' AND n.retraction_outcome IS NULL THEN
            RETURN jsonb_build_object('for', 'retraction', 'since', n.retracted_at);
        WHEN n.notification_status IS DISTINCT FROM 'PENDING' THEN
            RETURN NULL;
        WHEN n.unpublished THEN
            RETURN jsonb_build_object('for', 'publication', 'since', n.updated_at);
        WHEN n.scheduled_for > now() THEN
            RETURN jsonb_build_object('for', 'schedule', 'until', n.scheduled_for,
                                      'seconds', CASE WHEN isfinite(n.scheduled_for)
                                                      THEN extract(epoch FROM n.scheduled_for - now()) END);
        ELSE
    END CASE;

    SELECT * INTO e FROM notify.xnovu_enterprise r WHERE r.enterprise_id = n.enterprise_id::text;
    SELECT min(w.concurrency) INTO w_most FROM notify.ent_notification_workflow w
    WHERE w.enterprise_id = n.enterprise_id AND notify.xnovu_reference(w) = n.notification_workflow_id;
    SELECT count(*), count(*) FILTER (WHERE r.notification_workflow_id = n.notification_workflow_id)
    INTO in_hand, w_in_hand
    FROM notify.ent_notification r WHERE r.notification_status = 'PROCESSING' AND r.enterprise_id = n.enterprise_id;
    SELECT count(*) INTO ahead FROM (
        SELECT FROM notify.ent_notification r
        WHERE r.notification_status = 'PENDING' AND (r.scheduled_for IS NULL OR r.armed_for = r.scheduled_for)
          AND r.enterprise_id IS NOT NULL AND r.enterprise_id = n.enterprise_id AND r.unpublished IS NULL
          AND (notify.xnovu_rank(r.scheduled_for, r.created_at, r.priority),
               coalesce(r.expires_at, 'infinity'), coalesce(greatest(r.scheduled_for, r.created_at), '-infinity'), r.id)
            < (notify.xnovu_rank(n.scheduled_for, n.created_at, n.priority),
               coalesce(n.expires_at, 'infinity'), coalesce(greatest(n.scheduled_for, n.created_at), '-infinity'), n.id)
        LIMIT 1000) AS before;
    SELECT count(*) FILTER (WHERE a.enterprise_id = n.enterprise_id)
           / greatest(1, extract(epoch FROM now() - min(a.at))) INTO pace
    FROM (SELECT * FROM notify.ent_notification_audit l ORDER BY l.id DESC LIMIT 2000) AS a
    WHERE a.to_status = 'PROCESSING' AND a.at > now() - interval '1 minute';

    told := jsonb_build_object('ahead', ahead, 'seconds', (ahead + 1) / nullif(pace, 0));
    RETURN CASE
        WHEN in_hand >= e.concurrency THEN
            told || jsonb_build_object('for', 'concurrency', 'most', e.concurrency, 'in_hand', in_hand)
        WHEN w_in_hand >= w_most THEN
            told || jsonb_build_object('for', 'workflow', 'most', w_most, 'in_hand', w_in_hand)
        WHEN notify.xnovu_tokens(e) < ahead + 1 THEN
            told || jsonb_build_object('for', 'rate', 'rate', e.rate,
                                       'seconds', (ahead + 1 - notify.xnovu_tokens(e)) / e.rate)
        ELSE told || jsonb_build_object('for', 'turn', 'weight', coalesce(e.weight, 1),
                                        'enterprises', (SELECT count(*) FROM notify.xnovu_ring(NULL, 100)))
    END;
END $$;
