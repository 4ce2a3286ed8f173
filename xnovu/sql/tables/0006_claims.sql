-- A claim whose answer was lost is found again by its token, and what has failed can be listed.

ALTER TABLE notify.ent_notification ADD COLUMN IF NOT EXISTS claim_token uuid;

COMMENT ON COLUMN notify.ent_notification.claim_token IS
    'Which call claimed it: asked again after a lost answer, that call has its rows back.';

CREATE INDEX IF NOT EXISTS ent_notification_xnovu_failed ON notify.ent_notification (enterprise_id, id)
    WHERE notification_status = 'FAILED';
