-- Users of a platform on Supabase change of a row what they may state, and nothing that is XNovu's; and who takes a row
-- back changes nothing else of it, whatever columns he was granted: what is cancelled is what the row says.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse_rewriting() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours text[] := '{id, enterprise_id, generation, claims, claim_token, claimed_until, processed_at, error_details,
        retracted_at, retraction_outcome, armed_for, unpublished}';
    changed text;
BEGIN
    IF coalesce(pg_partition_root(TG_RELID), TG_RELID) <> 'notify.ent_notification'::regclass THEN
        RAISE EXCEPTION 'not a trigger of this table' USING ERRCODE = '42501';
    END IF;
    IF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'role % may not state generation or retraction_outcome', current_user USING ERRCODE = '42501';
    END IF;
    IF NEW.notification_status = 'RETRACTED' THEN
        ours := ours || '{transaction_id, recipients, notification_workflow_id, payload, overrides, created_at}'::text[];
    END IF;
    SELECT was.key INTO changed
    FROM jsonb_each(to_jsonb(OLD)) AS was JOIN jsonb_each(to_jsonb(NEW)) AS now ON now.key = was.key
    WHERE was.key = ANY (ours) AND now.value <> was.value LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'role % may not change column %', current_user, changed USING ERRCODE = '42501';
    END IF;
    RETURN NEW;
END $$;

-- A new row's generation is random, as its column's default has it.
CREATE OR REPLACE TRIGGER aaaa_xnovu_writing
    BEFORE INSERT ON notify.ent_notification
    FOR EACH ROW
    WHEN (current_user IN ('anon', 'authenticated')
          AND (NEW.generation NOT BETWEEN 1 AND 1000000000 OR NEW.retraction_outcome IS NOT NULL))
    EXECUTE FUNCTION notify.xnovu_refuse_rewriting();

CREATE OR REPLACE TRIGGER aaaa_xnovu_rewriting
    BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW
    WHEN (current_user IN ('anon', 'authenticated'))
    EXECUTE FUNCTION notify.xnovu_refuse_rewriting();
