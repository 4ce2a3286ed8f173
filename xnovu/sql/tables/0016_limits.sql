-- How much of what: an enterprise's rows at once and per second, and a workflow's rows at once. Who has no
-- limit costs nothing.

ALTER TABLE notify.xnovu_enterprise
    ADD COLUMN IF NOT EXISTS concurrency int CHECK (concurrency > 0),
    ADD COLUMN IF NOT EXISTS rate double precision CHECK (rate > 0 AND rate < 'infinity'),
    ADD COLUMN IF NOT EXISTS tokens double precision,
    ADD COLUMN IF NOT EXISTS refilled_at timestamptz;
ALTER TABLE notify.ent_notification_workflow
    ADD COLUMN IF NOT EXISTS concurrency int CHECK (concurrency > 0);

COMMENT ON COLUMN notify.xnovu_enterprise.concurrency IS 'Its rows that may be PROCESSING at once; null: any number.';
COMMENT ON COLUMN notify.xnovu_enterprise.rate IS 'Its rows that may be claimed in a second; null: any number.';
COMMENT ON COLUMN notify.xnovu_enterprise.tokens IS 'How many it might have claimed at once when it last did.';
COMMENT ON COLUMN notify.ent_notification_workflow.concurrency IS
    'The enterprise''s rows of this workflow that may be PROCESSING at once; null: any number.';

CREATE INDEX IF NOT EXISTS xnovu_enterprise_limited ON notify.xnovu_enterprise (enterprise_id)
    WHERE concurrency IS NOT NULL OR rate IS NOT NULL;
CREATE INDEX IF NOT EXISTS ent_notification_workflow_xnovu_concurrency
    ON notify.ent_notification_workflow (enterprise_id) WHERE concurrency IS NOT NULL;
