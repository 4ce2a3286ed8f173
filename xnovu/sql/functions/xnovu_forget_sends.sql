-- Of these rows, the send records that prove nothing any more go: the row is SENT, taken back for good, or gone. One that
-- is FAILED keeps its record: whoever sets it to PENDING by hand does not send it once more.
CREATE OR REPLACE FUNCTION notify.xnovu_forget_sends(keys jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    WITH ended AS (
        SELECT s.id, s.enterprise_id
        FROM jsonb_to_recordset(xnovu_forget_sends.keys) AS k (id bigint, enterprise_id text)
        JOIN notify.xnovu_sending s ON s.id = k.id AND s.enterprise_id = k.enterprise_id
        LEFT JOIN notify.ent_notification n ON n.id = k.id AND n.enterprise_id::text = k.enterprise_id
        WHERE n.id IS NULL OR n.notification_status = 'SENT'
           OR n.notification_status = 'RETRACTED' AND n.retraction_outcome IS NOT NULL
        ORDER BY s.id, s.enterprise_id FOR UPDATE OF s)
    DELETE FROM notify.xnovu_sending s USING ended e WHERE s.id = e.id AND s.enterprise_id = e.enterprise_id
$$;
