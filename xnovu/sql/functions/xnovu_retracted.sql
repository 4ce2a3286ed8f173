-- Whoever retracts a notification, with whatever statement: when is written down, and it is due for being stopped at
-- once, whoever had it. What was never claimed cannot have been sent, so its outcome is known.
CREATE OR REPLACE FUNCTION notify.xnovu_retracted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    NEW.retracted_at := coalesce(NEW.retracted_at, now());
    NEW.retraction_outcome := CASE WHEN OLD.notification_status = 'PENDING' AND OLD.claims = 0 THEN 'stopped' END;
    NEW.claimed_until := CASE WHEN NEW.enterprise_id IS NOT NULL THEN now() END;
    NEW.claim_token := NULL;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_retracted
    BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW
    WHEN (NEW.notification_status = 'RETRACTED' AND OLD.notification_status IS DISTINCT FROM NEW.notification_status)
    EXECUTE FUNCTION notify.xnovu_retracted();
