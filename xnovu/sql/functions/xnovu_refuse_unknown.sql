-- Raise XN002 if a notification has a column that the table has not, or none at all.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse_unknown(notifications jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY(
        SELECT attname FROM pg_catalog.pg_attribute
        WHERE attrelid = 'notify.ent_notification'::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum);
    stranger text := (
        SELECT k FROM jsonb_array_elements(notifications) AS e, jsonb_object_keys(e) AS k
        WHERE k <> ALL (known) LIMIT 1);
BEGIN
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION 'there is no column "%"; there are: %', stranger, array_to_string(known, ', ')
            USING ERRCODE = 'XN002', COLUMN = stranger;
    ELSIF EXISTS (SELECT FROM jsonb_array_elements(notifications) AS e WHERE e = '{}') THEN
        RAISE EXCEPTION 'a notification without any column' USING ERRCODE = 'XN002';
    END IF;
END $$;
