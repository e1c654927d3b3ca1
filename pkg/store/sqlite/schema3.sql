-- Schema 3: documents belong to collections and partitions, and can expire.

CREATE TABLE partitioned (
    collection TEXT    NOT NULL, -- '' of those that belong to none
    partition  TEXT    NOT NULL, -- '' likewise
    id         TEXT    NOT NULL,
    version    TEXT    NOT NULL, -- drawn at random at every write, so that none comes back
    body       TEXT    NOT NULL, -- a JSON object
    expires    INTEGER,          -- seconds since 1970; null: never
    PRIMARY KEY (collection, partition, id)
) STRICT;

INSERT INTO partitioned (collection, partition, id, version, body) SELECT '', '', id, version, body FROM documents;

DROP TABLE documents;

ALTER TABLE partitioned RENAME TO documents;

CREATE INDEX documents_expiring ON documents (expires) WHERE expires IS NOT NULL;
