COPY notify.ent_notification
    (name, enterprise_id, notification_workflow_id, payload, recipients, scheduled_for)
FROM STDIN
