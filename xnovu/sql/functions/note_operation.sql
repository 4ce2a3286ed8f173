-- Note that `who` has done `what` to so many notifications or messages, and how they were chosen.
CREATE OR REPLACE FUNCTION notify.note_operation(who text, what text, affected int, details jsonb)
RETURNS TABLE (id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    INSERT INTO notify.ent_notification_audit (actor, details)
    VALUES (note_operation.who, note_operation.details || jsonb_build_object(
        'operation', note_operation.what, 'count', note_operation.affected))
    RETURNING id
$$;
