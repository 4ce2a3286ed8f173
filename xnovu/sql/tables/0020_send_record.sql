-- The send record: the one proof of whether a row may have been sent.

ALTER TABLE notify.xnovu_sending
    ADD COLUMN IF NOT EXISTS sends boolean,
    ADD COLUMN IF NOT EXISTS doubt timestamptz;

COMMENT ON TABLE notify.xnovu_sending IS
    'The send records: written before a request to the provider may begin, gone when the row is SENT.';
COMMENT ON COLUMN notify.xnovu_sending.token IS 'Of the call that holds it: only who shows it may end it.';
COMMENT ON COLUMN notify.xnovu_sending.until IS 'Until then its holder may begin a request, and nobody else.';
COMMENT ON COLUMN notify.xnovu_sending.sends IS
    'Whether its holder may send, or only look it up. Null: a stage of version 0.1, which had all of `until` for it.';
COMMENT ON COLUMN notify.xnovu_sending.doubt IS
    'Somebody may have sent it before: what a look-up does not find from then on, he did not. Null: nobody had begun.';

-- A claim whose rows are not handed over yet. If its worker dies meanwhile, they need not wait for their lease.
CREATE TABLE IF NOT EXISTS notify.xnovu_claim (
    token uuid PRIMARY KEY,
    of_enterprise text,
    until timestamptz NOT NULL
);

COMMENT ON TABLE notify.xnovu_claim IS 'Claims whose rows are not on their way yet: their worker died if `until` is over.';
