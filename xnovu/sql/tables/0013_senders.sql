-- One sender at a time. Two workers may have one message in hand: a broker that was killed, or a worker
-- that was frozen, gives it to a second one. Both would look for it at the provider in vain, and send.

-- Until when somebody may be sending a row, or what he sent may not have shown yet. Beside the table:
-- it says nothing to who follows a notification, and is gone when that has ended.
CREATE TABLE IF NOT EXISTS notify.xnovu_sending (
    id bigint NOT NULL,
    enterprise_id text NOT NULL,
    generation int NOT NULL,
    until timestamptz NOT NULL,
    token uuid NOT NULL,
    PRIMARY KEY (id, enterprise_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

COMMENT ON TABLE notify.xnovu_sending IS 'Which rows a worker may be sending at this moment, and until when.';

COMMENT ON COLUMN notify.xnovu_sending.token IS
    'Which call took it up: if its answer was lost, nothing was sent, and who asked may have it again.';

-- What was claimed before there were such notes may have been sent.
INSERT INTO notify.xnovu_sending (id, enterprise_id, generation, until, token)
SELECT n.id, n.enterprise_id::text, n.generation, now(), gen_random_uuid()
FROM notify.ent_notification n WHERE n.notification_status = 'PROCESSING' AND n.enterprise_id IS NOT NULL
ON CONFLICT DO NOTHING;
