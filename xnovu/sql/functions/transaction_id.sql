-- The name a notification has at the provider: the same however often it is claimed, another one
-- after a re-drive. Sixteen bytes of SHA-256, marked as a UUID of version 8 (RFC 9562).
CREATE OR REPLACE FUNCTION notify.transaction_id(enterprise_id text, notification_id bigint, generation int)
RETURNS uuid LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    digest bytea := sha256(convert_to(concat_ws('/', enterprise_id, notification_id, generation), 'UTF8'));
BEGIN
    digest := set_byte(digest, 6, get_byte(digest, 6) & 15 | 128);
    digest := set_byte(digest, 8, get_byte(digest, 8) & 63 | 128);
    RETURN encode(substring(digest FROM 1 FOR 16), 'hex');
END $$;
