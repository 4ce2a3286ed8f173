-- Pass this row by for a while, the longer the more often it was tried: from 5 seconds up to 5 minutes.
CREATE OR REPLACE FUNCTION notify.set_aside(which bigint, of_enterprise text, said text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    INSERT INTO notify.xnovu_set_aside AS a (id, enterprise_id, until, said)
    VALUES (set_aside.which, set_aside.of_enterprise, now() + interval '5 seconds', set_aside.said)
    ON CONFLICT (id, enterprise_id) DO UPDATE
        SET tries = a.tries + 1, said = excluded.said,
            until = now() + least(interval '5 seconds' * 2 ^ least(a.tries, 20), interval '5 minutes')
$$;
