-- notify.transaction_id, unless the platform has chosen one, and in the type of the platform's column. What an
-- earlier generation left there is replaced: the provider would take the re-drive for a repeat.
CREATE OR REPLACE FUNCTION notify.xnovu_transaction_id(n notify.ent_notification)
RETURNS notify.ent_notification.transaction_id%TYPE
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF n.transaction_id IS NOT NULL AND (n.generation = 0 OR n.transaction_id::text
            <> notify.transaction_id(n.enterprise_id::text, n.id, n.generation::int - 1)::text) THEN
        RETURN n.transaction_id;
    END IF;
    RETURN notify.transaction_id(n.enterprise_id::text, n.id, n.generation::int);
END $$;
