-- What people ask for: insert, look up, send again, take back.

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

-- The first column whose value does not fit its type. Slow, for when something is known to be wrong.
CREATE OR REPLACE FUNCTION notify.xnovu_misfit(notifications jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    field record;
BEGIN
    FOR field IN SELECT f.key, f.value FROM jsonb_array_elements(notifications) AS e, jsonb_each(e) AS f LOOP
        BEGIN
            PERFORM jsonb_populate_record(NULL::notify.ent_notification, jsonb_build_object(field.key, field.value));
        EXCEPTION WHEN data_exception THEN
            RETURN field.key;
        END;
    END LOOP;
    RETURN NULL;
END $$;

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

-- One notification with all its columns, its workflow, and its transitions in order.
CREATE OR REPLACE FUNCTION notify.history(notification_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'notification', to_jsonb(n),
            'workflow', (SELECT to_jsonb(w) FROM notify.ent_notification_workflow w
                         WHERE w.enterprise_id = n.enterprise_id
                           AND notify.xnovu_reference(w) = n.notification_workflow_id
                         ORDER BY coalesce(w.deactivated, false), w.version DESC NULLS LAST LIMIT 1),
            'transitions', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.id), '[]')
                            FROM notify.ent_notification_audit a
                            WHERE a.notification_id = n.id AND a.enterprise_id = n.enterprise_id))
        FROM notify.ent_notification n WHERE n.id = history.notification_id);
END $$;

-- Send failed notifications again, as a new generation under a new name at the provider. Keyed by
-- generation, so asking twice does it once. Returns those it changed, as they are now.
CREATE OR REPLACE FUNCTION notify.redrive(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text, previous text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM set_config('xnovu.actor', coalesce(nullif(caller, ''), 'redrive'), true);
    RETURN QUERY
    UPDATE notify.ent_notification n
    SET notification_status = 'PENDING', generation = n.generation + 1, claims = 0, claimed_until = NULL,
        transaction_id = notify.transaction_id(n.enterprise_id::text, n.id, n.generation::int + 1),
        processed_at = NULL, error_details = NULL, updated_at = now()
    FROM (SELECT * FROM jsonb_to_recordset(redrive.keys)
              AS k (id bigint, enterprise_id text, generation int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.generation = key.generation AND n.notification_status = 'FAILED'
    RETURNING n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
              n.transaction_id::text, 'FAILED';
    PERFORM set_config('xnovu.actor', caller, true);
END $$;

-- Take notifications back, wherever they stand and in whichever generation. Returns those it changed.
CREATE OR REPLACE FUNCTION notify.retract(keys jsonb, reason text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text, previous text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM set_config('xnovu.actor', coalesce(nullif(caller, ''), 'retract'), true);
    RETURN QUERY
    WITH held AS (  -- locked first, so that `previous` is what it really was
        SELECT n.id, n.enterprise_id, n.notification_status::text AS previous
        FROM (SELECT DISTINCT k.id, k.enterprise_id FROM jsonb_to_recordset(retract.keys)
                  AS k (id bigint, enterprise_id text) ORDER BY k.id) AS key
        JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
        WHERE n.notification_status IN ('PENDING', 'PROCESSING', 'SENT', 'FAILED')
        FOR UPDATE OF n
    )
    UPDATE notify.ent_notification n
    SET notification_status = 'RETRACTED', retracted_at = now(), retraction_reason = retract.reason,
        claimed_until = NULL, updated_at = now()
    FROM held WHERE n.id = held.id AND n.enterprise_id = held.enterprise_id
    RETURNING n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
              n.transaction_id::text, held.previous;
    PERFORM set_config('xnovu.actor', caller, true);
END $$;

-- On Supabase the service key comes as this role, through rpc(). Nobody else is let in.
DO $$
BEGIN
    IF to_regrole('service_role') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA notify TO service_role;
        GRANT SELECT, INSERT, UPDATE ON notify.ent_notification TO service_role;
        GRANT SELECT ON notify.ent_notification_workflow, notify.ent_notification_audit TO service_role;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notify TO service_role;
    END IF;
END $$;
