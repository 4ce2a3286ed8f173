-- What a call with this token has claimed, while the claim holds: what its lost answer said.
CREATE OR REPLACE FUNCTION notify.claimed(token uuid)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM notify.xnovu_refuse_users();
    RETURN QUERY
    SELECT n.id::bigint, n.enterprise_id::text, n.generation::int, n.claims::int,
           n.transaction_id::text, notify.xnovu_deadline(n.expires_at), n.claims > 1
    FROM notify.ent_notification n
    WHERE n.notification_status = 'PROCESSING' AND n.claimed_until > now()
      AND n.claim_token = claimed.token
    ORDER BY n.claimed_until, n.id;
END $$;
