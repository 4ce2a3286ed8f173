-- Keep these claims for so many seconds, where they would lapse before that. What somebody else has locked is left out,
-- and so are all if the database refuses one: a claim that lapses early costs work, no more.
CREATE OR REPLACE FUNCTION notify.xnovu_keep(keys jsonb, status text, seconds double precision) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET lock_timeout = '250ms' AS $$
BEGIN
    UPDATE notify.ent_notification n SET claimed_until = now() + make_interval(secs => xnovu_keep.seconds)
    FROM (SELECT m.id, m.enterprise_id
          FROM jsonb_to_recordset(xnovu_keep.keys) AS k (id bigint, enterprise_id text, generation int, claims int)
          JOIN notify.ent_notification m ON m.id = k.id AND m.enterprise_id::text = k.enterprise_id
          -- Worded so that the planner does not see the indexes of what is claimed in it: they are read by id.
          WHERE coalesce(m.notification_status::text = xnovu_keep.status, false)
            AND coalesce(m.claimed_until, 'infinity') < now() + make_interval(secs => xnovu_keep.seconds)
            AND m.generation = k.generation AND m.claims = k.claims
          ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED) AS mine
    WHERE n.id = mine.id AND n.enterprise_id = mine.enterprise_id;
    SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN OTHERS OR assert_failure THEN
    IF notify.xnovu_nobodys(SQLSTATE, '') THEN
        RAISE;
    END IF;
END $$;
