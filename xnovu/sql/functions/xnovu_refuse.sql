-- Nobody changes or deletes a line of the audit. Whoever pays the bill may want to prune: the owner can, by disabling the trigger for the while.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_RELID <> 'notify.ent_notification_audit'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    RAISE EXCEPTION 'notify.ent_notification_audit is append-only' USING ERRCODE = '42501';
END $$;

CREATE OR REPLACE TRIGGER xnovu_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON notify.ent_notification_audit
    FOR EACH STATEMENT EXECUTE FUNCTION notify.xnovu_refuse();
