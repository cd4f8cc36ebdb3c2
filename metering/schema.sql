-- The ledger. Version 4; `PRAGMA user_version` holds the version of a file.
--
-- Entries are numbered in one sequence and chained in one chain. Most deliveries
-- stand in pages (`metering/ledger_page.py`), everything else is a row of `entry`.

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
CREATE INDEX entry_of_day ON entry (institution, day, seq);
CREATE INDEX entry_of_record ON entry (institution, record_id, at_us);
CREATE INDEX entry_of_upload ON entry (record_id, meter)
WHERE kind IN ('upload', 'cover', 'upload_reversed');

CREATE TABLE page (
    first_seq INTEGER PRIMARY KEY,
    entries INTEGER NOT NULL,
    oldest_us INTEGER NOT NULL,
    newest_us INTEGER NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    contents BLOB NOT NULL
) STRICT;

CREATE INDEX page_of_time ON page (newest_us, oldest_us);

CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never updated'); END;

CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never deleted'); END;

-- INSERT OR REPLACE would delete a row without asking the trigger above.
CREATE TRIGGER entry_is_new BEFORE INSERT ON entry
WHEN NEW.seq <= (SELECT max(seq) FROM entry)
  OR NEW.seq < (SELECT first_seq + entries FROM page ORDER BY first_seq DESC LIMIT 1)
  OR EXISTS (SELECT 1 FROM entry WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never replaced'); END;

CREATE TRIGGER page_is_final BEFORE UPDATE ON page
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never updated'); END;

CREATE TRIGGER page_stays BEFORE DELETE ON page
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never deleted'); END;

CREATE TRIGGER page_is_new BEFORE INSERT ON page
WHEN NEW.first_seq <= (SELECT max(seq) FROM entry)
  OR NEW.first_seq < (SELECT first_seq + entries FROM page ORDER BY first_seq DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never replaced'); END;

-- All below follows from the entries, is kept in the transaction that appends, and
-- can be made anew.

-- Sums.
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

-- Which pages hold entries of a member and year.
CREATE TABLE page_of_member (
    institution TEXT NOT NULL,
    year INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (institution, year, first_seq)
) STRICT, WITHOUT ROWID;

-- Which deliveries were taken from a source: those of a page, or some that are rows
-- from entry `first_seq` on. Their ids are `source:index`.
CREATE TABLE range_of_source (
    source TEXT NOT NULL,
    first_index INTEGER NOT NULL,
    last_index INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (source, first_index, first_seq)
) STRICT, WITHOUT ROWID;

-- New deliveries of a source are behind all others: this says so at once.
CREATE INDEX range_by_end ON range_of_source (source, last_index);

-- Billed deliveries in pages up to entry `billed_up_to`; written only where the
-- repeat window is longer than what is kept in memory.
CREATE TABLE billed (
    institution TEXT NOT NULL,
    record_id INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (institution, record_id, at_us, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE billed_up_to (seq INTEGER NOT NULL) STRICT;
INSERT INTO billed_up_to (seq) VALUES (0);

-- How far each source of entries was read; moved in the transaction that appends.
CREATE TABLE source_position (
    source TEXT PRIMARY KEY,
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
