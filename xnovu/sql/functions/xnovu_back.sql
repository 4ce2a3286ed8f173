-- These rows could be changed after all.
CREATE OR REPLACE FUNCTION notify.xnovu_back(picks notify.xnovu_pick[], token uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    DELETE FROM notify.xnovu_set_aside a USING unnest(picks) AS p, notify.ent_notification n
    WHERE a.id = p.id AND a.enterprise_id = p.enterprise_id
      AND n.id = p.id AND n.enterprise_id::text = p.enterprise_id AND n.claim_token = xnovu_back.token
$$;
