-- Whoever sets an ended row to PENDING by hand, in the generation in which it may have been sent: it is in doubt, since
-- this moment, however old the transaction.
CREATE OR REPLACE FUNCTION notify.xnovu_reopened() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    INSERT INTO notify.xnovu_sending AS s (id, enterprise_id, generation, token, until, sends, begun_at)
    VALUES (NEW.id, NEW.enterprise_id::text, NEW.generation, gen_random_uuid(), clock_timestamp(), true,
            CASE WHEN OLD.notification_status = 'FAILED' THEN now() ELSE coalesce(OLD.processed_at, now()) END)
    ON CONFLICT (id, enterprise_id) DO UPDATE
        SET generation = excluded.generation, token = excluded.token, until = greatest(s.until, excluded.until),
            sends = true, doubt = CASE WHEN s.generation = excluded.generation THEN s.doubt END,
            begun_at = CASE WHEN s.generation = excluded.generation THEN least(s.begun_at, excluded.begun_at)
                            ELSE excluded.begun_at END;
    IF NEW.notification_status = 'PROCESSING' THEN  -- nobody has it: it is due
        NEW.claimed_until := coalesce(NEW.claimed_until, now());
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER xnovu_reopened
    BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW
    WHEN (NEW.notification_status IN ('PENDING', 'PROCESSING')
          AND OLD.notification_status IN ('SENT', 'FAILED', 'RETRACTED')
          AND NEW.generation = OLD.generation AND NEW.enterprise_id IS NOT NULL)
    EXECUTE FUNCTION notify.xnovu_reopened();
