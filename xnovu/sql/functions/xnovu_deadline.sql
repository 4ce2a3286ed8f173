-- A deadline that every client can read: one beyond the year 9999, infinity among them, is none.
CREATE OR REPLACE FUNCTION notify.xnovu_deadline(expires_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 < '9999-01-01Z'::timestamptz THEN greatest($1, '1970-01-01Z'::timestamptz) END
$$;
