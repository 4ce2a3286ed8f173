-- What the stages ask about the rows they have in hand, and how they write what became of them.
-- Rows are reached by id and compared by enterprise: a key of another enterprise finds nothing.

-- The one of the workflow's columns that `notification_workflow_id` refers to: its key where that
-- is a text, else its id. Plain enough for the planner to see through, so an index still serves.
DO $$
DECLARE
    target text;
    target_type text;
BEGIN
    SELECT CASE WHEN t.typcategory = 'S' THEN 'workflow_key' ELSE 'id' END INTO target
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = 'notify.ent_notification'::regclass AND a.attname = 'notification_workflow_id';
    SELECT format_type(atttypid, NULL) INTO target_type FROM pg_catalog.pg_attribute
    WHERE attrelid = 'notify.ent_notification_workflow'::regclass AND attname = target;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'notify.ent_notification.notification_workflow_id refers to an id, which notify.ent_notification_workflow does not have'
            USING ERRCODE = 'XN001', HINT = 'Give the workflows an id, or refer to their workflow_key.';
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION notify.xnovu_reference(w notify.ent_notification_workflow)
         RETURNS %s LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ''SELECT w.%I''', target_type, target);
END $$;

-- Complete rows with the workflow of their own enterprise; `workflow` is null if there is none.
-- Plain types, and empty for null, whatever the platform's columns are.
CREATE OR REPLACE FUNCTION notify.load(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, name text,
               workflow_key text, transaction_id text, recipients text[], payload jsonb,
               overrides jsonb, channels text[], tags text[], workflow_version text,
               expires_at timestamptz, workflow jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, key.generation, key.claims, n.name::text,
           coalesce(w.workflow_key::text, n.notification_workflow_id::text, ''),
           coalesce(n.transaction_id, notify.xnovu_transaction_id(n))::text,
           array_replace(coalesce(n.recipients::text[], '{}'), NULL, ''),  -- told, not dropped
           coalesce(nullif(n.payload::jsonb, 'null'), '{}'), nullif(n.overrides::jsonb, 'null'),
           array_remove(coalesce(n.channels::text[], '{}'), NULL),
           array_remove(coalesce(n.tags::text[], '{}'), NULL),
           n.workflow_version::text, notify.xnovu_deadline(n.expires_at), w.workflow
    FROM jsonb_to_recordset(load.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    LEFT JOIN LATERAL (
        SELECT w.workflow_key, jsonb_build_object(
            'workflow_key', w.workflow_key, 'enterprise_id', w.enterprise_id::text,
            'name', w.name::text, 'payload_schema', w.payload_schema,
            'default_channels', coalesce(to_jsonb(w.default_channels), '[]'), 'version', w.version::text,
            'deactivated', coalesce(w.deactivated, false)) AS workflow
        FROM notify.ent_notification_workflow w
        WHERE w.enterprise_id = n.enterprise_id
          AND notify.xnovu_reference(w) = n.notification_workflow_id
        ORDER BY coalesce(w.deactivated, false), w.version DESC NULLS LAST
        LIMIT 1
    ) AS w ON true;
END $$;

-- The keys that are still to be sent: under this very claim, not expired. A claim that is about to
-- lapse is kept for two minutes: else another one could begin while these are being sent, and look
-- at the provider for them before it shows them. Longer, too, than any of them waits for its retry.
CREATE OR REPLACE FUNCTION notify.still_wanted(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    UPDATE notify.ent_notification n
    SET claimed_until = now() + interval '2 minutes'
    FROM (SELECT * FROM jsonb_to_recordset(still_wanted.keys)
              AS k (id bigint, enterprise_id text, generation int, claims int) ORDER BY k.id) AS key
    WHERE n.id = key.id AND n.enterprise_id::text = key.enterprise_id
      AND n.notification_status = 'PROCESSING'
      AND n.generation = key.generation AND n.claims = key.claims
      AND n.claimed_until < now() + interval '2 minutes'
      AND (n.expires_at IS NULL OR n.expires_at > now());

    RETURN QUERY
    SELECT key.id, key.enterprise_id, key.generation, key.claims
    FROM jsonb_to_recordset(still_wanted.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    WHERE n.notification_status = 'PROCESSING'
      AND n.generation = key.generation AND n.claims = key.claims
      AND (n.expires_at IS NULL OR n.expires_at > now());
END $$;

-- Outcomes as rows: keys, with `error_details` for those that failed.
CREATE OR REPLACE FUNCTION notify.xnovu_told(outcomes jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, failed boolean, error_details jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT o.id, o.enterprise_id, o.generation, o.claims, o.error_details IS NOT NULL, o.error_details
    FROM jsonb_to_recordset($1) AS o (id bigint, enterprise_id text, generation int, claims int, error_details jsonb)
$$;

-- Write how notifications ended; return those for which that is now so, whether this call or an
-- earlier one wrote it.
-- SENT holds whichever claim sent it; FAILED only from the claim that still has the row. Told both,
-- SENT wins. The returned `claims` are the row's: the same fact, whoever states it.
CREATE OR REPLACE FUNCTION notify.record(outcomes jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, status text, previous text,
               at timestamptz, transaction_id text, error_details jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    caller text := coalesce(current_setting('xnovu.actor', true), '');
BEGIN
    PERFORM set_config('xnovu.actor', 'status', true);

    -- By id, as all do who lock several rows: so two batches never wait for each other. The new
    -- status and details take the types of the table's own columns.
    UPDATE notify.ent_notification n
    SET notification_status = (typed.ended).notification_status,
        error_details = (typed.ended).error_details,
        processed_at = now(), claimed_until = NULL, updated_at = now()
    FROM (
        SELECT DISTINCT ON (n.id, n.enterprise_id) n.id, n.enterprise_id, told.generation, told.claims, told.failed,
               jsonb_populate_record(NULL::notify.ent_notification, jsonb_build_object(
                   'notification_status', CASE WHEN told.failed THEN 'FAILED' ELSE 'SENT' END,
                   'error_details', CASE WHEN told.failed THEN told.error_details END)) AS ended
        FROM notify.xnovu_told(record.outcomes) AS told
        JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
        WHERE n.notification_status = 'PROCESSING' AND n.generation = told.generation
          AND (n.claims = told.claims OR NOT told.failed)
        ORDER BY n.id, n.enterprise_id, told.failed
    ) AS typed
    WHERE n.id = typed.id AND n.enterprise_id = typed.enterprise_id
      AND n.notification_status = 'PROCESSING'
      AND n.generation = typed.generation AND (n.claims = typed.claims OR NOT typed.failed);

    RETURN QUERY
    SELECT DISTINCT ON (n.id, n.enterprise_id)
           n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           n.notification_status::text, 'PROCESSING', coalesce(n.processed_at, n.updated_at, now()),
           n.transaction_id::text, n.error_details::jsonb
    FROM notify.xnovu_told(record.outcomes) AS told
    JOIN notify.ent_notification n ON n.id = told.id AND n.enterprise_id::text = told.enterprise_id
    WHERE n.generation = told.generation
      AND (n.notification_status = 'SENT' AND NOT told.failed
           OR n.notification_status = 'FAILED' AND told.failed AND n.claims = told.claims)
    ORDER BY n.id, n.enterprise_id;

    PERFORM set_config('xnovu.actor', caller, true);
END $$;
