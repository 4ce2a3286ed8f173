-- Which of these transactions others cannot see yet: the log tells of a commit a moment before.
SELECT FROM pg_catalog.pg_locks
WHERE locktype = 'transactionid' AND granted AND mode = 'ExclusiveLock'
  AND transactionid::text = ANY (%(transactions)s)
