-- Insert notifications given as [{column: value, …}, …]; return their ids in that order. A column
-- left out takes its default. An error names the column, never the value.
CREATE OR REPLACE FUNCTION notify.enqueue(notifications jsonb) RETURNS SETOF bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text;
    given text;  -- one expression for each column: the value if the row has it, else the default
BEGIN
    PERFORM notify.xnovu_refuse_unknown(notifications);
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
           string_agg(format('CASE WHEN e.value ? %L THEN p.%I ELSE %s END', a.attname, a.attname,
               CASE WHEN a.attidentity <> '' THEN format('nextval(%L)', pg_get_serial_sequence(
                        'notify.ent_notification', a.attname))
                    ELSE coalesce(pg_get_expr(d.adbin, d.adrelid), 'NULL') END), ', ' ORDER BY a.attnum)
    INTO columns, given
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'notify.ent_notification'::regclass AND a.attnum > 0
      AND a.attname IN (SELECT k FROM jsonb_array_elements(notifications) AS e, jsonb_object_keys(e) AS k);
    IF columns IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
            'INSERT INTO notify.ent_notification (%s)
             SELECT %s FROM jsonb_array_elements($1) WITH ORDINALITY AS e (value, place),
                 LATERAL jsonb_populate_record(NULL::notify.ent_notification, e.value) AS p
             ORDER BY e.place
             RETURNING id::bigint', columns, given) USING notifications;
    END IF;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'column "%" cannot hold the value given', notify.xnovu_misfit(notifications)
        USING ERRCODE = 'XN002';
END $$;
