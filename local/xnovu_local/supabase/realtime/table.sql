-- The columns of a table in order: their types, whether they are part of the primary key, and
-- whether a role may read them. No row where there is no such table.
SELECT a.attname AS name,
       t.typname AS type,
       format_type(a.atttypid, a.atttypmod) AS cast_type,
       a.attnum = ANY (coalesce(k.conkey, '{}')) AS key,
       has_column_privilege(%(role)s::name, c.oid, a.attnum, 'SELECT') AS selectable,
       c.relrowsecurity AS secured
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
ORDER BY a.attnum
