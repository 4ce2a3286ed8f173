-- Whose the user is who asks: the token's claim `enterprise_id`, or that of `app_metadata`, where
-- Supabase Auth keeps what users cannot write; `user_metadata` they can. Null: nobody's.
CREATE OR REPLACE FUNCTION notify.xnovu_enterprise() RETURNS notify.ent_notification.enterprise_id%TYPE
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    claims jsonb;
    enterprise notify.ent_notification.enterprise_id%TYPE;
BEGIN
    claims := nullif(current_setting('request.jwt.claims', true), '');
    enterprise := coalesce(nullif(claims ->> 'enterprise_id', ''),
                           nullif(claims -> 'app_metadata' ->> 'enterprise_id', ''));
    RETURN enterprise;
EXCEPTION WHEN data_exception THEN  -- not the id of any
    RETURN NULL;
END $$;
