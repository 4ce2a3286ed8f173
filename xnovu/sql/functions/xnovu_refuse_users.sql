-- Users of a platform on Supabase (its roles anon and authenticated) do not call what works as the owner, whoever has
-- granted it to them: Supabase's own guide to a schema of one's own grants all of its routines.
CREATE OR REPLACE FUNCTION notify.xnovu_refuse_users() RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    asks constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
    IF asks IN ('anon', 'authenticated') THEN
        RAISE EXCEPTION 'this is not for users, such as role %', asks USING ERRCODE = '42501';
    END IF;
END $$;
