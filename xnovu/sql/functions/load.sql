-- For stages of 0.1: notify.load_rows, as it was.
CREATE OR REPLACE FUNCTION notify.load(keys jsonb)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, name text,
               workflow_key text, transaction_id text, recipients text[], payload jsonb,
               overrides jsonb, channels text[], tags text[], workflow_version text,
               expires_at timestamptz, workflow jsonb)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    SELECT r.id, r.enterprise_id, r.generation, r.claims, r.name, r.workflow_key, r.transaction_id, r.recipients,
           r.payload, r.overrides, r.channels, r.tags, r.workflow_version, r.expires_at, r.workflow
    FROM notify.load_rows(load.keys) AS r
$$;
