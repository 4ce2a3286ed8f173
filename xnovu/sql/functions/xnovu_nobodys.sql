-- Whether an error is no row's fault: the connection, a login, memory and disks, a deadlock, a server that goes down. A
-- lock that is held too long is that of a row, or of what its triggers touch.
CREATE OR REPLACE FUNCTION notify.xnovu_nobodys(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT $1 ~ '^(08|25|28|3D|40|53|57|58|F0|XX|42501|42P01|42703|42704|42883|3F000)'
$$;
