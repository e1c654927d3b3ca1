-- Schema 2: when an alert and its findings expire, and what a finding was suppressed by.
ALTER TABLE alerts ADD COLUMN expires INTEGER;   -- in seconds since 1970; null: never
ALTER TABLE findings ADD COLUMN suppression TEXT; -- its name; null: none
ALTER TABLE set_aside ADD COLUMN expires INTEGER;
CREATE INDEX alerts_expiring ON alerts (expires) WHERE expires IS NOT NULL;
CREATE INDEX set_aside_expiring ON set_aside (expires) WHERE expires IS NOT NULL;
