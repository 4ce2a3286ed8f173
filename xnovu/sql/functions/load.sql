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
