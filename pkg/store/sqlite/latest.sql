-- What all schemas lead to: a new store begins here. A test holds it to the steps.

CREATE TABLE alerts (
    n        INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    tenant   TEXT    NOT NULL,
    rule     TEXT    NOT NULL,
    status   TEXT    NOT NULL,
    stage    INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    first    TEXT    NOT NULL,
    last     TEXT    NOT NULL,
    doc      TEXT    NOT NULL,
    expires  INTEGER,
    changed  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alerts_listed ON alerts (severity DESC, last DESC, id, tenant, rule, status, stage, first);
CREATE INDEX alerts_expiring ON alerts (expires) WHERE expires IS NOT NULL;
CREATE INDEX alerts_changed ON alerts (changed);

CREATE TABLE findings (
    alert       INTEGER NOT NULL REFERENCES alerts (n),
    id          TEXT    NOT NULL,
    at          TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    stage       INTEGER NOT NULL,
    severity    INTEGER NOT NULL,
    strength    INTEGER NOT NULL,
    place       TEXT    NOT NULL,
    run         TEXT    NOT NULL,
    doc         TEXT,
    suppression TEXT,
    PRIMARY KEY (alert, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_by_time ON findings (alert, at, id);

CREATE TABLE set_aside (
    id      TEXT NOT NULL PRIMARY KEY,
    reason  TEXT NOT NULL,
    seen    TEXT NOT NULL,
    doc     TEXT NOT NULL,
    expires INTEGER
) STRICT;
CREATE INDEX set_aside_expiring ON set_aside (expires) WHERE expires IS NOT NULL;

CREATE TABLE documents (
    collection TEXT NOT NULL,
    partition  TEXT NOT NULL,
    id         TEXT NOT NULL,
    version    TEXT NOT NULL,
    body       TEXT NOT NULL,
    expires    INTEGER,
    PRIMARY KEY (collection, partition, id)
) STRICT;
CREATE INDEX documents_expiring ON documents (expires) WHERE expires IS NOT NULL;
