-- Only stages of version 0.1 call this, while the next version takes over.
-- Those still to be sent under this very claim that somebody may be sending, and for how many seconds more. What a
-- stage of this version has begun is among them for as long as its record stands: only notify.still_wanted tells when
-- it may be taken up.
CREATE OR REPLACE FUNCTION notify.being_sent(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT notify.xnovu_refuse_users();
    SELECT k.id, k.enterprise_id, k.generation, k.claims,
           CASE WHEN s.sends IS NULL THEN extract(epoch FROM s.until - now())
                ELSE greatest(1, extract(epoch FROM s.until + interval '1 minute' - now())) END::double precision
    FROM jsonb_to_recordset(being_sent.keys) AS k (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.xnovu_sending s ON s.id = k.id AND s.enterprise_id = k.enterprise_id
    JOIN notify.ent_notification n ON n.id = k.id AND n.enterprise_id::text = k.enterprise_id
    WHERE (s.sends IS NOT NULL OR s.until > now()) AND n.notification_status = 'PROCESSING'
      AND n.generation = k.generation AND n.claims = k.claims
$$;
