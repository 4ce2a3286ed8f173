-- The order of a row among its enterprise's, the lowest first: the hour it fell due in, two hours earlier for each
-- step of priority. Without SET, so that the planner puts the expression itself in the call's place, and finds the
-- index ent_notification_xnovu_ready by it: whoever changes one changes the other. One for each type that the column
-- may have, because a cast would make it another expression.
DO $$
DECLARE
    type text;
BEGIN
    FOREACH type IN ARRAY '{smallint,integer,bigint}'::text[] LOOP
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION notify.xnovu_rank(scheduled_for timestamptz, created_at timestamptz, priority %s)
             RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $rank$
                SELECT CASE WHEN isfinite(greatest($1, $2))
                            THEN floor(date_part(''epoch'', greatest($1, $2) - ''2000-01-01Z''::timestamptz) / 3600)
                            ELSE 0 END - 2 * least(greatest(coalesce($3, 0), -100), 100)
             $rank$', type);
    END LOOP;
END $$;
