-- Whoever retracts a notification, with whatever statement: when is written down, and no claim holds.

CREATE OR REPLACE FUNCTION notify.xnovu_retracted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.retracted_at := coalesce(NEW.retracted_at, now());
    NEW.claimed_until := NULL;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_retracted
    BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW
    WHEN (NEW.notification_status = 'RETRACTED' AND OLD.notification_status IS DISTINCT FROM NEW.notification_status)
    EXECUTE FUNCTION notify.xnovu_retracted();

SELECT notify.xnovu_close();
