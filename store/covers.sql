-- Which records have a cover image. The pictures are files beside it, named by their
-- SHA-256: see server/covers/shelf.py. Version 1. Times are UTC, microseconds since 1970.

CREATE TABLE cover (
    catalogue TEXT NOT NULL,           -- names the numbering of records
    record_id INTEGER NOT NULL,
    database TEXT NOT NULL,
    control_number TEXT NOT NULL,
    institution TEXT NOT NULL,         -- that brought it; '' for an operator
    account TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    sent_sha256 TEXT NOT NULL,         -- of the octets that came, to know them again
    sha256 TEXT NOT NULL,              -- of the picture that is kept
    medium_sha256 TEXT NOT NULL,       -- of its thumbnails
    small_sha256 TEXT NOT NULL,
    format TEXT NOT NULL CHECK (format IN ('jpeg', 'png', 'webp')),
    width INTEGER NOT NULL,            -- in pixels
    height INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    -- "due" until it is told to the credit of its record, then "told", or why it is not.
    credit TEXT NOT NULL,
    PRIMARY KEY (catalogue, record_id)
) STRICT;
CREATE INDEX cover_of_number ON cover (catalogue, database, control_number);
CREATE INDEX cover_due ON cover (at_us) WHERE credit = 'due';
CREATE INDEX cover_file ON cover (sha256);

-- What was done to covers, by whom and from where.
CREATE TABLE cover_change (
    change_id INTEGER PRIMARY KEY AUTOINCREMENT,
    catalogue TEXT NOT NULL,
    record_id INTEGER NOT NULL,
    database TEXT NOT NULL,
    control_number TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('add', 'replace', 'remove')),
    institution TEXT NOT NULL,
    who TEXT NOT NULL,
    account TEXT NOT NULL,
    protocol TEXT NOT NULL,
    address TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    reason TEXT NOT NULL,
    before TEXT NOT NULL,              -- SHA-256, '' for none
    after TEXT NOT NULL
) STRICT;
CREATE TRIGGER cover_change_is_final BEFORE UPDATE ON cover_change
BEGIN SELECT RAISE(ABORT, 'a change is never updated'); END;
CREATE TRIGGER cover_change_stays BEFORE DELETE ON cover_change
BEGIN SELECT RAISE(ABORT, 'a change is never deleted'); END;
