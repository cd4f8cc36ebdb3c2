-- The catalogue, schema version 8. Times are UTC in microseconds since 1970.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE database (
    database_id INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    title       TEXT NOT NULL,
    family      TEXT NOT NULL,
    aliases     TEXT NOT NULL          -- a JSON list
);

-- The newest version of each record. Rows are never removed, so a record_id is
-- never used again. `marc` comes last: it overflows its page.
CREATE TABLE record (
    record_id      INTEGER PRIMARY KEY,
    database_id    INTEGER NOT NULL REFERENCES database,
    agency         TEXT NOT NULL,      -- field 003, or empty
    control_number TEXT NOT NULL,      -- field 001
    version        INTEGER NOT NULL,
    created_us     INTEGER NOT NULL,
    modified_us    INTEGER NOT NULL,
    account        TEXT NOT NULL,      -- who stored this version
    deleted        INTEGER NOT NULL,
    marc           BLOB NOT NULL       -- UTF-8 ISO 2709: see store/marc_packing.py
);
CREATE UNIQUE INDEX record_identity ON record (database_id, agency, control_number);

-- What records are compressed with. Rows are never removed.
CREATE TABLE marc_dictionary (
    dictionary_id INTEGER PRIMARY KEY, -- from 1 to 127
    database_id   INTEGER NOT NULL REFERENCES database,
    octets        BLOB NOT NULL        -- a dictionary of Zstandard
);

-- Records that came without a control number, by a digest of what came, so that
-- loading a file again does not double them.
CREATE TABLE numbered_here (
    database_id INTEGER NOT NULL REFERENCES database,
    digest      BLOB NOT NULL,
    record_id   INTEGER NOT NULL REFERENCES record DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (database_id, digest)
) WITHOUT ROWID;

-- What stood in `record` before each change.
CREATE TABLE record_version (
    record_id   INTEGER NOT NULL REFERENCES record,
    version     INTEGER NOT NULL,
    modified_us INTEGER NOT NULL,
    account     TEXT NOT NULL,
    deleted     INTEGER NOT NULL,
    marc        BLOB NOT NULL,
    PRIMARY KEY (record_id, version)
);

-- One list of terms: the words of an access point (`title`), its whole fields
-- (`title/key`), its sort values (`title/sort`), or one of the catalogue's own.
CREATE TABLE register (
    register_id INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE
);

-- The main index. `frequency` is the number of records in `records`; `display`
-- is how a reader expects a whole field, where that differs from the term.
CREATE TABLE posting (
    register_id INTEGER NOT NULL,
    term        TEXT NOT NULL,
    frequency   INTEGER NOT NULL,
    display     TEXT,
    records     BLOB NOT NULL,         -- see store/postings.py
    PRIMARY KEY (register_id, term)
) WITHOUT ROWID;

CREATE TABLE position (
    register_id INTEGER NOT NULL,
    term        TEXT NOT NULL,
    shard       INTEGER NOT NULL,      -- record_id >> 20
    positions   BLOB NOT NULL,
    PRIMARY KEY (register_id, term, shard)
) WITHOUT ROWID;

-- Records changed since the last merge. Such a record is found by `entries`
-- alone: whatever the main index holds of it is out of date.
CREATE TABLE delta (
    sequence          INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id         INTEGER NOT NULL UNIQUE,
    base_version      INTEGER NOT NULL, -- the version in the main index; 0: none
    base_institutions TEXT NOT NULL,    -- its holders there, a JSON list
    entries           BLOB NOT NULL     -- see store/index.py; empty: deleted
);

-- One row. `generation` counts the changes to the main index; delta rows up to
-- `merged_sequence` have gone into it.
CREATE TABLE state (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    generation      INTEGER NOT NULL,
    merged_sequence INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 1, 0);

-- Which records each change of the main index brought up to date, for the newest
-- changes. A generation that is missing may have changed any record.
CREATE TABLE merged (
    generation INTEGER PRIMARY KEY,
    records    BLOB NOT NULL           -- see store/postings.py
);

CREATE TABLE holding (
    record_id   INTEGER NOT NULL REFERENCES record,
    institution TEXT NOT NULL,
    call_number TEXT NOT NULL,
    copies      INTEGER NOT NULL,
    location    TEXT NOT NULL,
    barcodes    TEXT NOT NULL,         -- a JSON list
    created_us  INTEGER NOT NULL,
    modified_us INTEGER NOT NULL,
    extent      TEXT NOT NULL DEFAULT '',
    note        TEXT NOT NULL DEFAULT '',
    submission_id INTEGER NOT NULL DEFAULT 0, -- that made it what it is; 0: a load
    PRIMARY KEY (record_id, institution)
) WITHOUT ROWID;
CREATE INDEX holding_by_institution ON holding (institution, record_id);

-- Who changed holdings: one row for a request or a file. `source` names the file.
CREATE TABLE holding_submission (
    submission_id INTEGER PRIMARY KEY AUTOINCREMENT,
    institution   TEXT NOT NULL,       -- whose holdings
    account       TEXT NOT NULL,
    protocol      TEXT NOT NULL,
    address       TEXT NOT NULL,
    source        TEXT NOT NULL,
    at_us         INTEGER NOT NULL,
    added         INTEGER NOT NULL,
    changed       INTEGER NOT NULL,
    removed       INTEGER NOT NULL
);
CREATE INDEX holding_submission_of ON holding_submission (institution, submission_id);

-- What stood in `holding` before each change or removal: made by `submission_id`,
-- ended by `ended_by`.
CREATE TABLE holding_version (
    record_id     INTEGER NOT NULL REFERENCES record,
    institution   TEXT NOT NULL,
    ended_by      INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,    -- among those ended by one submission
    submission_id INTEGER NOT NULL,
    modified_us   INTEGER NOT NULL,
    removed       INTEGER NOT NULL,    -- 1: nothing came in its place
    holding       TEXT NOT NULL,       -- JSON: see store/holdings_history.py
    PRIMARY KEY (record_id, institution, ended_by, ordinal)
) WITHOUT ROWID;

-- Imports of holdings that have begun and not ended: see store/holdings_journal.py.
CREATE TABLE holding_job (
    command    TEXT PRIMARY KEY,       -- a digest of what was asked for
    run        TEXT NOT NULL,          -- the process that is at it
    files      TEXT NOT NULL,          -- JSON: path, size, time and digest of each
    progress   TEXT NOT NULL,          -- JSON
    started_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) WITHOUT ROWID;

-- Pairs that came (+1) and went (-1), in order, for the ledger to fold.
-- `submission_id` 0: a load, or from before it was kept.
CREATE TABLE holding_event (
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    institution   TEXT NOT NULL,
    record_id     INTEGER NOT NULL,
    change        INTEGER NOT NULL CHECK (change IN (1, -1)),
    at_us         INTEGER NOT NULL,
    account       TEXT NOT NULL,
    submission_id INTEGER NOT NULL DEFAULT 0
);

-- Why a version came, where somebody said so, and what it was other than a plain
-- change. `change` is a name of store.versions.Change.
CREATE TABLE record_remark (
    record_id INTEGER NOT NULL REFERENCES record,
    version   INTEGER NOT NULL,
    change    TEXT NOT NULL,
    other_id  INTEGER NOT NULL,        -- the other record of a merge; 0: none
    reason    TEXT NOT NULL,
    PRIMARY KEY (record_id, version)
) WITHOUT ROWID;

-- Records merged away, in order. `holdings` is what moved, to be given back if
-- the merge is undone: see store/merging.py.
CREATE TABLE record_merge (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    away_id   INTEGER NOT NULL REFERENCES record,
    keep_id   INTEGER NOT NULL REFERENCES record,
    at_us     INTEGER NOT NULL,
    account   TEXT NOT NULL,
    holdings  TEXT NOT NULL,           -- a JSON list
    undone_us INTEGER                  -- NULL while it holds
);
CREATE UNIQUE INDEX record_merged ON record_merge (away_id) WHERE undone_us IS NULL;

-- Whose numbers find a record beside its own, by its versions.
CREATE TABLE former_number (
    record_id     INTEGER NOT NULL REFERENCES record,
    away_id       INTEGER NOT NULL REFERENCES record,
    since_version INTEGER NOT NULL,
    until_version INTEGER,             -- the first without it; NULL: none yet
    PRIMARY KEY (record_id, away_id, since_version)
) WITHOUT ROWID;

-- The records under which the ledger counted a holding that merges moved or
-- joined; a holding without rows was counted under its own record.
CREATE TABLE counted_under (
    record_id   INTEGER NOT NULL,
    institution TEXT NOT NULL,
    counted_id  INTEGER NOT NULL REFERENCES record,
    PRIMARY KEY (record_id, institution, counted_id)
) WITHOUT ROWID;

-- Loads that have begun and not ended, and how far each is: see store/load_journal.py.
CREATE TABLE load_job (
    command    TEXT PRIMARY KEY,       -- a digest of what was asked for
    run        TEXT NOT NULL,          -- the process that is at it
    database   TEXT NOT NULL,
    files      TEXT NOT NULL,          -- JSON: path, size, time and digest of each
    progress   TEXT NOT NULL,          -- JSON
    started_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) WITHOUT ROWID;

-- What members did to records over the network, in order. `institution` is empty
-- for an operator; `digest` is of what came with an insert, so that sending it again
-- is no second record; `credit` is "due" until it is claimed, then "claimed", or
-- says why there is none.
CREATE TABLE upload (
    upload_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id   INTEGER NOT NULL REFERENCES record,
    version     INTEGER NOT NULL,
    action      TEXT NOT NULL,
    institution TEXT NOT NULL,
    account     TEXT NOT NULL,
    protocol    TEXT NOT NULL,
    address     TEXT NOT NULL,
    at_us       INTEGER NOT NULL,
    digest      BLOB,
    credit      TEXT NOT NULL
);
CREATE INDEX upload_of ON upload (record_id, upload_id);
CREATE INDEX upload_digest ON upload (digest) WHERE digest IS NOT NULL;
CREATE INDEX upload_credit ON upload (upload_id) WHERE credit = 'due';
