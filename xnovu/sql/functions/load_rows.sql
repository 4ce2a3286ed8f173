DROP FUNCTION IF EXISTS notify.load_rows(jsonb, int);

-- Complete rows with the workflow of their own enterprise, or one that serves every enterprise (its enterprise_id is
-- null); `workflow` is null if there is none. Plain types, and empty for null, whatever the platform's columns are.
-- `unusable` is why a row cannot be sent, and null else: as stored it is larger than `max_bytes`, a list is none, or its
-- transaction id is another notification's. That is looked at here: no client reads what is too large.
-- `recipient_prefix` and `overrides_allowed` are what its enterprise is restricted to; null: to nothing.
-- VOLATILE, so that each statement has a snapshot of its own: one from before a column's type was changed sees no rows.
CREATE OR REPLACE FUNCTION notify.load_rows(keys jsonb, max_bytes int DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, name text,
               workflow_key text, transaction_id text, recipients text[], payload jsonb,
               overrides jsonb, channels text[], tags text[], workflow_version text,
               expires_at timestamptz, workflow jsonb, unusable text,
               recipient_prefix text, overrides_allowed text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, key.generation, key.claims, n.name::text,
           coalesce(w.workflow_key::text, n.notification_workflow_id::text, ''),
           notify.xnovu_transaction_id(n.transaction_id::text, n.enterprise_id::text, n.id, n.generation::int)::text,
           CASE WHEN why.unusable IS NULL THEN array_replace(coalesce(n.recipients::text[], '{}'), NULL, '') END,
           CASE WHEN why.unusable IS NULL THEN coalesce(nullif(n.payload::jsonb, 'null'), '{}') END,
           CASE WHEN why.unusable IS NULL THEN nullif(n.overrides::jsonb, 'null') END,
           CASE WHEN why.unusable IS NULL THEN array_remove(coalesce(n.channels::text[], '{}'), NULL) END,
           CASE WHEN why.unusable IS NULL THEN array_remove(coalesce(n.tags::text[], '{}'), NULL) END,
           n.workflow_version::text, notify.xnovu_deadline(n.expires_at), w.workflow, why.unusable,
           e.recipient_prefix, e.overrides_allowed
    FROM jsonb_to_recordset(load_rows.keys)
        AS key (id bigint, enterprise_id text, generation int, claims int)
    JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
    CROSS JOIN LATERAL (SELECT CASE
        WHEN load_rows.max_bytes IS NULL THEN NULL  -- as stages of 0.1 expect it
        WHEN greatest(coalesce(pg_column_size(n.payload), 0) + coalesce(pg_column_size(n.overrides), 0),
                      coalesce(pg_column_size(n.recipients), 0) + coalesce(pg_column_size(n.tags), 0)
                      + coalesce(pg_column_size(n.channels), 0) + coalesce(pg_column_size(n.name), 0)) > load_rows.max_bytes
            THEN 'too_large'
        -- What is compressed may be a hundred times as large. A row of it alone holds it as it is, which needs no text;
        -- and no JSON in text is shorter than a quarter of what it is as jsonb.
        WHEN pg_column_size(n.payload) > load_rows.max_bytes / 128
             AND pg_column_size(ROW(n.payload)) > 9 * load_rows.max_bytes::bigint
             OR pg_column_size(n.overrides) > load_rows.max_bytes / 128
                AND pg_column_size(ROW(n.overrides)) > 9 * load_rows.max_bytes::bigint
            THEN 'too_large'
        WHEN pg_column_size(n.payload) > load_rows.max_bytes / 128 AND octet_length(n.payload::text) > 2 * load_rows.max_bytes
             OR pg_column_size(n.overrides) > load_rows.max_bytes / 128
                AND octet_length(n.overrides::text) > 2 * load_rows.max_bytes
             OR greatest(cardinality(n.recipients), cardinality(n.tags), cardinality(n.channels)) > load_rows.max_bytes / 4
             OR octet_length(n.name::text) > load_rows.max_bytes
            THEN 'too_large'
        WHEN array_ndims(n.recipients) > 1 THEN 'recipients'
        WHEN array_ndims(n.channels) > 1 THEN 'channels'
        WHEN array_ndims(n.tags) > 1 THEN 'tags'
        WHEN n.transaction_id::text <> '' AND EXISTS (
            SELECT FROM notify.ent_notification o
            WHERE o.transaction_id IS NOT NULL AND o.transaction_id = n.transaction_id
              AND (o.id, o.enterprise_id::text) <> (n.id, n.enterprise_id::text)
              AND (o.notification_status = 'SENT'
                   OR (o.id, o.enterprise_id::text) < (n.id, n.enterprise_id::text)))
            THEN 'transaction_id_taken' END) AS why (unusable)
    LEFT JOIN notify.xnovu_enterprise e ON e.enterprise_id = n.enterprise_id::text
    LEFT JOIN LATERAL (
        SELECT w.workflow_key, jsonb_build_object(
            'workflow_key', w.workflow_key, 'enterprise_id', n.enterprise_id::text,
            'name', w.name::text, 'payload_schema', w.payload_schema,
            'default_channels', coalesce(to_jsonb(w.default_channels), '[]'), 'version', w.version::text,
            'deactivated', NOT notify.xnovu_published(w)) AS workflow
        FROM notify.xnovu_workflow(n.enterprise_id, n.notification_workflow_id) AS w
    ) AS w ON true;
END $$;
