INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id, name, payload_schema)
VALUES ('order-shipped', %(enterprise)s, 'Order shipped', %(schema)s::jsonb),
       ('switched-off', %(enterprise)s, 'Switched off at Novu', NULL)
