-- Latency is that of rows which were due at once; the rate is over all that were.
SELECT count(*),
       extract(epoch FROM max(processed_at) - min(created_at)),
       percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
           ORDER BY extract(epoch FROM processed_at - created_at) * 1000)
FROM notify.ent_notification
WHERE scheduled_for IS NULL AND notification_status = 'SENT'
