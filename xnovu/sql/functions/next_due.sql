DROP FUNCTION IF EXISTS notify.next_due();
DROP FUNCTION IF EXISTS notify.next_due(text);

-- Seconds until the next row is due, or a retraction to be told (of one enterprise); 0 if some are, null if
-- none ever will be. What ended within a claim and is not told is due now. `handed_over` as in notify.claim.
CREATE OR REPLACE FUNCTION notify.next_due(of_enterprise text DEFAULT NULL, handed_over jsonb DEFAULT '[]')
RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
    wanted notify.ent_notification.enterprise_id%TYPE := next_due.of_enterprise;
    due timestamptz;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    IF next_due.handed_over <> '[]' THEN
        PERFORM notify.xnovu_hand_over(next_due.handed_over, next_due.of_enterprise);
    END IF;
    IF notify.xnovu_is_untold(next_due.of_enterprise) THEN
        RETURN 0;
    END IF;
    PERFORM FROM notify.ent_notification n
    WHERE n.notification_status = 'PENDING' AND (n.scheduled_for IS NULL OR n.armed_for = n.scheduled_for)
      AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted) AND n.unpublished IS NULL
      AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
    ORDER BY n.enterprise_id LIMIT 1;
    IF FOUND THEN
        RETURN 0;
    END IF;
    due := least(
        (SELECT n.scheduled_for
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PENDING' AND n.armed_for IS DISTINCT FROM n.scheduled_for
           AND n.scheduled_for IS NOT NULL
           AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted) AND n.unpublished IS NULL
           AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
         ORDER BY n.scheduled_for LIMIT 1),
        (SELECT n.claimed_until
         FROM notify.ent_notification n
         WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL
           AND (wanted IS NULL OR n.enterprise_id = wanted)
           AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
         ORDER BY n.claimed_until LIMIT 1),
        (SELECT n.claimed_until
         FROM notify.ent_notification n
         WHERE n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL
           AND n.enterprise_id IS NOT NULL AND (wanted IS NULL OR n.enterprise_id = wanted)
           AND NOT notify.xnovu_is_aside(n.id, n.enterprise_id::text)
         ORDER BY n.claimed_until LIMIT 1),
        notify.xnovu_aside_until(next_due.of_enterprise),
        notify.xnovu_handover_ends(next_due.of_enterprise));
    RETURN CASE WHEN due <= now() THEN 0
                WHEN due < 'infinity' THEN extract(epoch FROM due - now()) END;
END $$;
