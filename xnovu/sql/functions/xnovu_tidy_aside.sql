-- Rows that have ended, or are gone, are set aside no more.
CREATE OR REPLACE FUNCTION notify.xnovu_tidy_aside() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    DELETE FROM notify.xnovu_set_aside a
    WHERE a.until <= now() AND NOT EXISTS (
        SELECT FROM notify.ent_notification n
        WHERE n.id = a.id AND coalesce(n.enterprise_id::text, '') = a.enterprise_id
          AND (n.notification_status IN ('PENDING', 'PROCESSING')
               OR n.notification_status = 'RETRACTED' AND n.claimed_until IS NOT NULL))
$$;
