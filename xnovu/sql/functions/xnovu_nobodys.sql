DROP FUNCTION IF EXISTS notify.xnovu_nobodys(text);

-- Whether an error is no row's fault: the connection, a login, memory and disks, a deadlock, a server that goes down;
-- and, unless a function of the platform's raised it, what says that the schema is not as it was: the same list as in
-- xnovu.sql.errors. But a lock that is held too long is that of a row, or of what its triggers touch.
CREATE OR REPLACE FUNCTION notify.xnovu_nobodys(state text, routine text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT $1 ~ '^(08|25|28|3D|40001|40003|40P01|53|55006|57014|57P|58|F0|XX002)'
           OR $1 ~ '^(0A000|26000|3F000|42501|42703|42704|42804|42883|42P01|42P05|55000|XN001)'
              AND coalesce($2 ~ '^"?(notify\.)?xnovu_', true)
$$;
