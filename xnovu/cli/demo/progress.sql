SELECT notification_status::text, count(*) FROM notify.ent_notification GROUP BY 1
