DROP FUNCTION IF EXISTS notify.xnovu_transaction_id(notify.ent_notification);

-- notify.transaction_id, unless the platform has `chosen` one, and in the type of the platform's column. What an
-- earlier generation left there is replaced: the provider would take the re-drive for a repeat. An empty one is none.
-- By column: a whole row would have to be read, however large.
CREATE OR REPLACE FUNCTION notify.xnovu_transaction_id(chosen text, enterprise_id text, which bigint, generation int)
RETURNS notify.ent_notification.transaction_id%TYPE
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF chosen <> '' AND (generation = 0
                         OR chosen <> notify.transaction_id(enterprise_id, which, generation - 1)::text) THEN
        RETURN chosen;
    END IF;
    RETURN notify.transaction_id(enterprise_id, which, generation);
END $$;
