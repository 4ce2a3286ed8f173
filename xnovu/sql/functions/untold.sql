-- Rows that ended FAILED within a claim, and of which no event is known to be out, `most` at the most; of one enterprise
-- where `of_enterprise` says so, else of all by turns, from the one after `after`. As they ended, whatever they are now.
CREATE OR REPLACE FUNCTION notify.untold(most int, of_enterprise text DEFAULT NULL, after text DEFAULT NULL)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, status text, previous text,
               at timestamptz, transaction_id text, error_details jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
    SELECT notify.xnovu_refuse_users();
    WITH RECURSIVE ring (enterprise_id, place, round) AS (
        (SELECT * FROM (
            (SELECT untold.of_enterprise, 1, true WHERE untold.of_enterprise IS NOT NULL)
            UNION ALL
            (SELECT u.enterprise_id, 1, untold.after IS NULL FROM notify.xnovu_untold u
             WHERE u.enterprise_id > untold.after AND untold.of_enterprise IS NULL
             ORDER BY u.enterprise_id LIMIT 1)
            UNION ALL
            (SELECT u.enterprise_id, 1, true FROM notify.xnovu_untold u
             WHERE untold.of_enterprise IS NULL
             ORDER BY u.enterprise_id LIMIT 1)) AS first LIMIT 1)
        UNION ALL
        SELECT next.* FROM ring, LATERAL (
            SELECT * FROM (
                (SELECT u.enterprise_id, ring.place + 1, ring.round FROM notify.xnovu_untold u
                 WHERE u.enterprise_id > ring.enterprise_id
                 ORDER BY u.enterprise_id LIMIT 1)
                UNION ALL
                (SELECT u.enterprise_id, ring.place + 1, true FROM notify.xnovu_untold u
                 WHERE NOT ring.round
                 ORDER BY u.enterprise_id LIMIT 1)) AS either LIMIT 1) AS next
        WHERE untold.of_enterprise IS NULL AND ring.place < untold.most
          AND (NOT next.round OR untold.after IS NULL OR next.enterprise_id <= untold.after)
    ), whose AS MATERIALIZED (
        SELECT r.enterprise_id, r.place, 1 + untold.most / count(*) OVER () AS share FROM ring r)
    SELECT u.id, u.enterprise_id, u.generation, u.claims, 'FAILED', 'PENDING', u.at, u.transaction_id, u.error_details
    FROM whose, LATERAL (
        SELECT e.*, row_number() OVER (ORDER BY e.id, e.generation, e.claims) AS nth
        FROM notify.xnovu_untold e WHERE e.enterprise_id = whose.enterprise_id
        ORDER BY e.id, e.generation, e.claims LIMIT whose.share) AS u
    ORDER BY u.nth, whose.place LIMIT untold.most
$$;
