-- The tables of a publication that a subscription means; `*` means all.
SELECT schemaname AS schema, tablename AS table
FROM pg_catalog.pg_publication_tables
WHERE pubname = %(publication)s
  AND %(schema)s::text IN ('*', schemaname)
  AND %(table)s::text IN ('*', tablename)
