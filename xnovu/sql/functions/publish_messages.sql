-- Tell all mailboxes that read them of these messages: [{kind, enterprise_id, stage, id, express, headers, body}, …], the
-- body in base64. One whose id was published before is left out. Says how many were new.
CREATE OR REPLACE FUNCTION notify.publish_messages(messages jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    fresh bigint[];
    told text;
BEGIN
    PERFORM notify.xnovu_refuse_users();
    PERFORM pg_advisory_xact_lock_shared(7817238014);  -- no mailbox is made meanwhile: notify.open_mailbox
    WITH published AS (
        INSERT INTO notify.xnovu_message (kind, enterprise_id, stage, message_id, headers, body)
        SELECT t.kind, t.enterprise_id, t.stage, t.id, t.headers::json, decode(t.body, 'base64')
        FROM ROWS FROM (jsonb_to_recordset(publish_messages.messages)
            AS (kind text, enterprise_id text, stage text, id text, headers text, body text)) WITH ORDINALITY AS t
        ORDER BY t.ordinality
        ON CONFLICT (message_id) DO NOTHING
        RETURNING id)
    SELECT coalesce(array_agg(id), '{}') INTO fresh FROM published;
    FOR told IN
        WITH given AS (
            INSERT INTO notify.xnovu_delivery (mailbox, message, express)
            SELECT m.name, t.id, t.headers ->> 'express' IS NOT NULL
            FROM notify.xnovu_message t JOIN notify.xnovu_mailbox m ON t.kind = ANY (m.kinds)
            WHERE t.id = ANY (fresh)
            RETURNING mailbox)
        SELECT DISTINCT mailbox FROM given
    LOOP
        PERFORM pg_notify('xnovu_mailbox', told);
    END LOOP;
    RETURN cardinality(fresh);
END $$;
