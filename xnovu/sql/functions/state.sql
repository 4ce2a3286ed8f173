-- Which version the schema is of, the checksum of its functions, whether row-level security hides the table from the
-- functions, which are its owner's, who asks, and what time it is here.
CREATE OR REPLACE FUNCTION notify.state() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT notify.xnovu_refuse_users();
    SELECT jsonb_build_object(
        'version', (SELECT max(version) FROM notify.xnovu_migration), 'functions', notify.xnovu_functions(),
        'hidden', row_security_active('notify.ent_notification'),
        'role', coalesce(nullif(current_setting('role'), 'none'), session_user), 'now', clock_timestamp())
$$;
