SELECT enterprise_id, name, notification_status::text, coalesce(error_details ->> 'code', ''),
       count(*), bool_or(processed_at < scheduled_for) IS TRUE
FROM notify.ent_notification GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
