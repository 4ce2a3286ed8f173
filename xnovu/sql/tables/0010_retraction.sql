-- Retraction: what has been taken back is due for being stopped wherever it is, and what that achieved is written
-- down. Those that are still to be stopped are found by an index; the others cost nothing.

ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS retraction_outcome text;

COMMENT ON COLUMN notify.ent_notification.retraction_outcome IS
    'What a retraction achieved: stopped, cancelled, partly, too_late. Null: not known yet.';
COMMENT ON COLUMN notify.ent_notification.claimed_until IS
    'While PROCESSING, or RETRACTED and not told what came of it: when the claim lapses and the row is due again. Null: never.';

CREATE INDEX IF NOT EXISTS ent_notification_xnovu_retracted ON notify.ent_notification (claimed_until)
    WHERE notification_status = 'RETRACTED' AND claimed_until IS NOT NULL;
