-- Every transition leaves a line in the audit, whoever made it; so does the outcome of a retraction, but not that it
-- was claimed to find out. And whoever listens is told when rows have come that may be due. Statement-level: one
-- pass however many rows changed.
-- SECURITY DEFINER: a platform's role that may update notifications need not be able to write the audit itself.
-- Nested loops are off because a plan made for one row would be kept for 10,000; hashing is on because the statement
-- that it follows may have switched it off for itself (`claim` and `record` do), and only nested loops would be left.
CREATE OR REPLACE FUNCTION notify.xnovu_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_hashjoin = on SET jit = off AS $$
DECLARE
    who text := coalesce(
        nullif(current_setting('xnovu.actor', true), ''),
        nullif(current_setting('role'), 'none'),
        session_user);
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    INSERT INTO notify.ent_notification_audit
        (notification_id, enterprise_id, generation, claims, from_status, to_status, actor, details)
    SELECT n.id, n.enterprise_id, n.generation, n.claims,
           o.notification_status::text, n.notification_status::text, who,
           CASE WHEN n.notification_status = 'FAILED' THEN to_jsonb(n.error_details)
                WHEN n.notification_status = 'RETRACTED'
                THEN jsonb_build_object('reason', n.retraction_reason)
                     || CASE WHEN n.retraction_outcome IS NULL THEN '{}'
                             ELSE jsonb_build_object('outcome', n.retraction_outcome) END END
    FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.enterprise_id IS NOT DISTINCT FROM n.enterprise_id
    WHERE o.notification_status IS DISTINCT FROM n.notification_status
       OR o.claims <> n.claims AND n.notification_status <> 'RETRACTED'
       OR o.generation <> n.generation
       OR o.retraction_outcome IS DISTINCT FROM n.retraction_outcome AND n.notification_status = 'RETRACTED'
    ORDER BY n.id;

    IF EXISTS (SELECT FROM new_rows n JOIN old_rows o ON o.id = n.id AND o.enterprise_id IS NOT DISTINCT FROM n.enterprise_id
               WHERE n.notification_status IN ('PENDING', 'RETRACTED')
                 AND (o.notification_status IS DISTINCT FROM n.notification_status
                      OR o.scheduled_for IS DISTINCT FROM n.scheduled_for
                      OR o.unpublished IS DISTINCT FROM n.unpublished)) THEN
        PERFORM notify.xnovu_tell();
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER xnovu_audit
    AFTER UPDATE ON notify.ent_notification
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_audit();
