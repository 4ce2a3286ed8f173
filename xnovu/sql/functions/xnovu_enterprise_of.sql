-- An enterprise's name as the table's own type has it, so that it is looked up along the indexes.
CREATE OR REPLACE FUNCTION notify.xnovu_enterprise_of(name text) RETURNS notify.ent_notification.enterprise_id%TYPE
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enterprise notify.ent_notification.enterprise_id%TYPE := name;
BEGIN
    RETURN enterprise;
END $$;
