-- Change what an enterprise may have: `changes` holds what is to change, null for no limit. Who then has what
-- everybody has, has no line. Returns whether it has one.
CREATE OR REPLACE FUNCTION notify.limit_enterprise(of_enterprise text, changes jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM notify.xnovu_refuse_users();
    INSERT INTO notify.xnovu_enterprise (enterprise_id) VALUES (of_enterprise) ON CONFLICT DO NOTHING;
    UPDATE notify.xnovu_enterprise e
    SET weight = CASE WHEN changes ? 'weight' THEN coalesce((changes ->> 'weight')::int, 1) ELSE e.weight END,
        concurrency = CASE WHEN changes ? 'concurrency' THEN (changes ->> 'concurrency')::int ELSE e.concurrency END,
        rate = CASE WHEN changes ? 'rate' THEN (changes ->> 'rate')::double precision ELSE e.rate END,
        recipient_prefix = CASE WHEN changes ? 'recipient_prefix' THEN changes ->> 'recipient_prefix'
                                ELSE e.recipient_prefix END,
        overrides_allowed = CASE WHEN jsonb_typeof(changes -> 'overrides_allowed') = 'array'
                                 THEN ARRAY(SELECT jsonb_array_elements_text(changes -> 'overrides_allowed'))
                                 WHEN changes ? 'overrides_allowed' THEN NULL ELSE e.overrides_allowed END,
        tokens = CASE WHEN changes ? 'rate' THEN NULL ELSE e.tokens END
    WHERE e.enterprise_id = of_enterprise;
    DELETE FROM notify.xnovu_enterprise e
    WHERE e.enterprise_id = of_enterprise AND e.weight = 1 AND e.concurrency IS NULL AND e.rate IS NULL
      AND e.recipient_prefix IS NULL AND e.overrides_allowed IS NULL;
    RETURN NOT FOUND;
END $$;
