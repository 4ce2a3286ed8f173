-- Where the platform's rows can be drafts (`publish_status`) or switched off (`deactivated`), only those that are
-- PUBLISH and not deactivated are due, and only such a workflow is used. Which of the columns there are is looked up
-- when this is run.
DO $$
DECLARE
    of_row text;
    of_workflow text;
BEGIN
    SELECT string_agg(CASE a.attname WHEN 'publish_status' THEN '%1$s.publish_status::text = ''PUBLISH'''
                                     ELSE '%1$s.deactivated IS NOT TRUE' END, ' AND ')
               FILTER (WHERE a.attrelid = 'notify.ent_notification'::regclass),
           string_agg(CASE a.attname WHEN 'publish_status' THEN '%1$s.publish_status::text = ''PUBLISH'''
                                     ELSE '%1$s.deactivated IS NOT TRUE' END, ' AND ')
               FILTER (WHERE a.attrelid = 'notify.ent_notification_workflow'::regclass)
    INTO of_row, of_workflow
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid IN ('notify.ent_notification'::regclass, 'notify.ent_notification_workflow'::regclass)
      AND NOT a.attisdropped AND a.attname IN ('publish_status', 'deactivated');

    -- Plain enough for the planner to see through.
    EXECUTE format('CREATE OR REPLACE FUNCTION notify.xnovu_published(w notify.ent_notification_workflow)
                    RETURNS boolean LANGUAGE sql STABLE AS $f$ SELECT (%s) IS TRUE $f$', format(of_workflow, 'w'));
    DROP TRIGGER IF EXISTS xnovu_published ON notify.ent_notification;
    DROP TRIGGER IF EXISTS zzzz_xnovu_published ON notify.ent_notification;
    IF of_row IS NOT NULL THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION notify.xnovu_published() RETURNS trigger
                        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
                        BEGIN
                            IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> ''notify.ent_notification''::regclass THEN
                                RAISE EXCEPTION ''not a trigger of this table'' USING ERRCODE = ''42501'';
                            END IF;
                            NEW.unpublished := CASE WHEN (%s) IS NOT TRUE THEN true END;
                            RETURN NEW;
                        END $f$', format(of_row, 'NEW'));
        -- The last by name: what triggers of the platform's make of the columns counts.
        CREATE TRIGGER zzzz_xnovu_published BEFORE INSERT OR UPDATE ON notify.ent_notification
            FOR EACH ROW EXECUTE FUNCTION notify.xnovu_published();
    END IF;
END $$;
