-- Which rows in hand (as `id enterprise_id`) say otherwise than `keys` say of them, where these say anything: to whom
-- they go, by which workflow, under which transaction id. Each as notify.load_rows gives it;
-- a list is the same wherever it begins to count ([:]). So does one whose overrides have keys (`overridden`) that its
-- enterprise may not use. The plan is made once: rows are reached by id, however many there are.
CREATE OR REPLACE FUNCTION notify.xnovu_differing(keys jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    RETURN (
        SELECT coalesce(array_agg(key.id || ' ' || key.enterprise_id), '{}')
        FROM jsonb_to_recordset(xnovu_differing.keys) AS key (
            id bigint, enterprise_id text, transaction_id text, workflow_key text, recipients text[], overridden text[])
        JOIN notify.ent_notification n ON n.id = key.id AND n.enterprise_id::text = key.enterprise_id
        WHERE key.transaction_id IS NOT NULL
          AND (key.recipients IS DISTINCT FROM (array_replace(coalesce(n.recipients::text[], '{}'), NULL, ''))[:]
               OR key.transaction_id IS DISTINCT FROM notify.xnovu_transaction_id(
                   n.transaction_id::text, n.enterprise_id::text, n.id, n.generation::int)::text
               OR key.workflow_key IS DISTINCT FROM coalesce(
                   (SELECT w.workflow_key::text
                    FROM notify.xnovu_workflow(n.enterprise_id, n.notification_workflow_id) AS w),
                   n.notification_workflow_id::text, '')
               OR EXISTS (SELECT FROM notify.xnovu_enterprise e WHERE e.enterprise_id = key.enterprise_id
                          AND NOT coalesce(key.overridden, '{}') <@ e.overrides_allowed)));
END $$;
