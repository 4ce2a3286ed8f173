-- The transport that needs no broker (transport.kind = "postgres"): messages, who reads them, and what is on its way.

CREATE TABLE IF NOT EXISTS notify.xnovu_message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    enterprise_id text NOT NULL,
    stage text,
    message_id text,
    headers json NOT NULL,
    body bytea NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS xnovu_message_once ON notify.xnovu_message (message_id);
CREATE INDEX IF NOT EXISTS xnovu_message_of_kind ON notify.xnovu_message (kind, id);

CREATE TABLE IF NOT EXISTS notify.xnovu_mailbox (
    name text PRIMARY KEY,
    kinds text[] NOT NULL,
    read_until timestamptz NOT NULL DEFAULT now(),
    paused_until timestamptz,
    paused_because text
);

CREATE TABLE IF NOT EXISTS notify.xnovu_delivery (
    mailbox text NOT NULL,
    message bigint NOT NULL,
    express boolean NOT NULL,
    spent int NOT NULL DEFAULT 0,
    vanished int NOT NULL DEFAULT 0,
    held_until timestamptz,
    token uuid,
    PRIMARY KEY (mailbox, message)
);
-- What may be given out, in order; and what may not yet.
CREATE INDEX IF NOT EXISTS xnovu_delivery_next ON notify.xnovu_delivery (mailbox, express DESC, message)
    WHERE held_until IS NULL;
CREATE INDEX IF NOT EXISTS xnovu_delivery_held ON notify.xnovu_delivery (mailbox, held_until)
    WHERE held_until IS NOT NULL;
ALTER TABLE notify.xnovu_delivery SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE notify.xnovu_message IS
    'With transport.kind = "postgres": what stages and consumers have told, kept for transport.retention_days.';
COMMENT ON COLUMN notify.xnovu_message.stage IS 'Of a dead letter: the stage that gave it up.';
COMMENT ON COLUMN notify.xnovu_message.message_id IS 'The same message has the same: there is never a second one.';
COMMENT ON TABLE notify.xnovu_mailbox IS 'Who reads which kinds of messages, and whether he is paused.';
COMMENT ON COLUMN notify.xnovu_mailbox.read_until IS 'Until then somebody has said that he reads it.';
COMMENT ON TABLE notify.xnovu_delivery IS 'What a mailbox has not settled yet.';
COMMENT ON COLUMN notify.xnovu_delivery.spent IS 'Attempts that ended with a retry.';
COMMENT ON COLUMN notify.xnovu_delivery.vanished IS 'Attempts whose worker was never heard of again.';
COMMENT ON COLUMN notify.xnovu_delivery.held_until IS
    'Until then it is not given out: it is in hand, if there is a token, or its time has not come.';
