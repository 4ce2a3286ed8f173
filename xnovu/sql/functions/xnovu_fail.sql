-- Mark a row FAILED that was never claimed, and note that it is to be told. The status and the details take the types of
-- the table's own columns.
CREATE OR REPLACE FUNCTION notify.xnovu_fail(which bigint, of_enterprise text, details jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    ended notify.ent_notification := jsonb_populate_record(NULL::notify.ent_notification, jsonb_build_object(
        'notification_status', 'FAILED', 'error_details', xnovu_fail.details));
BEGIN
    UPDATE notify.ent_notification n
    SET notification_status = ended.notification_status, error_details = ended.error_details,
        processed_at = now(), claimed_until = NULL, updated_at = now()
    WHERE n.id = which AND n.enterprise_id::text IS NOT DISTINCT FROM of_enterprise
      AND n.notification_status = 'PENDING';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a trigger keeps a row as it is' USING ERRCODE = 'XN002';
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    PERFORM notify.xnovu_to_tell(which, of_enterprise, xnovu_fail.details);
END $$;
