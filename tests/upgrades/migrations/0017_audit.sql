-- The audit joins what was with what is, row by row, and so by hashing: whatever the statement it
-- follows has switched off for itself (`claim` and `record` do) would else hold in here, too, and
-- only comparing each row with all others would be left.
ALTER FUNCTION notify.xnovu_audit() SET enable_hashjoin = on;
