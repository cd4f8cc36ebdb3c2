-- The ledger. Version 2; `PRAGMA user_version` holds the version of a file.

CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    meter TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    institution TEXT NOT NULL,
    account TEXT NOT NULL,
    database TEXT NOT NULL,
    record_id INTEGER NOT NULL,
    control_number TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    year INTEGER NOT NULL,
    day INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    session TEXT NOT NULL,
    refers_to TEXT NOT NULL,
    note TEXT NOT NULL,
    item TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE INDEX entry_of_member ON entry (institution, year, seq);
CREATE INDEX entry_of_record ON entry (institution, record_id, at_us);

CREATE INDEX entry_of_upload ON entry (record_id, meter)
WHERE kind IN ('upload', 'cover', 'upload_reversed');

CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never updated'); END;

CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never deleted'); END;

-- INSERT OR REPLACE would delete a row without asking the trigger above.
CREATE TRIGGER entry_is_new BEFORE INSERT ON entry
WHEN EXISTS (
    SELECT 1 FROM entry WHERE seq = NEW.seq UNION ALL SELECT 1 FROM entry WHERE id = NEW.id
)
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never replaced'); END;

-- Sums of `entry`, kept in the transaction that appends and rebuilt from it at will.
CREATE TABLE rollup (
    institution TEXT NOT NULL,
    year INTEGER NOT NULL,
    day INTEGER NOT NULL,
    kind TEXT NOT NULL,
    meter TEXT NOT NULL,
    item TEXT NOT NULL,
    entries INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (year, institution, day, kind, meter, item)
) STRICT, WITHOUT ROWID;

-- How far each source of entries was read; moved in the transaction that appends.
CREATE TABLE source_position (
    source TEXT PRIMARY KEY,
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
