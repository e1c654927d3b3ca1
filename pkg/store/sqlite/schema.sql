-- Schema 1. A file is an Assay store if its application_id says so; user_version is the number of the schema.
-- Never change a schema that was released: add a file of statements that lead from it to the next one.

CREATE TABLE alerts (
    n        INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    tenant   TEXT    NOT NULL,
    rule     TEXT    NOT NULL,
    status   TEXT    NOT NULL,
    stage    INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    first    TEXT    NOT NULL, -- times have nine digits after the point, so that they sort as texts
    last     TEXT    NOT NULL,
    doc      TEXT    NOT NULL  -- the alert as JSON: the columns before are only copies to select and sort by
) STRICT;

-- Selecting and sorting alerts reads this alone, not the documents.
CREATE INDEX alerts_listed ON alerts (severity DESC, last DESC, id, tenant, rule, status, stage, first);

CREATE TABLE findings (
    alert    INTEGER NOT NULL REFERENCES alerts (n),
    id       TEXT    NOT NULL,
    at       TEXT    NOT NULL,
    event    TEXT    NOT NULL,
    stage    INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    strength INTEGER NOT NULL,
    place    TEXT    NOT NULL,
    run      TEXT    NOT NULL,
    doc      TEXT,             -- the finding with its evidence as JSON; null for a claim
    PRIMARY KEY (alert, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX findings_by_time ON findings (alert, at, id);

CREATE TABLE set_aside (
    id     TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    seen   TEXT NOT NULL,
    doc    TEXT NOT NULL       -- the item as JSON
) STRICT;

CREATE TABLE documents (
    id      TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,     -- drawn at random at every write, so that none comes back
    body    TEXT NOT NULL      -- a JSON object
) STRICT;
