-- Schema 4: when an alert was last written.
ALTER TABLE alerts ADD COLUMN changed INTEGER NOT NULL DEFAULT 0; -- seconds since 1970; 0: before this schema
CREATE INDEX alerts_changed ON alerts (changed);
