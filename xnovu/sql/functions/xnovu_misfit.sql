-- The first column whose value does not fit its type. Slow, for when something is known to be wrong.
CREATE OR REPLACE FUNCTION notify.xnovu_misfit(notifications jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    field record;
BEGIN
    FOR field IN SELECT f.key, f.value FROM jsonb_array_elements(notifications) AS e, jsonb_each(e) AS f LOOP
        BEGIN
            PERFORM jsonb_populate_record(NULL::notify.ent_notification, jsonb_build_object(field.key, field.value));
        EXCEPTION WHEN data_exception THEN
            RETURN field.key;
        END;
    END LOOP;
    RETURN NULL;
END $$;
