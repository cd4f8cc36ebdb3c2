-- Claims of credit for accepted records, and what was decided of each. Version 2;
-- `PRAGMA user_version` holds the version of a file. Nothing is changed or removed:
-- what holds of a claim is its last decision. Times are UTC, microseconds since 1970.

CREATE TABLE claim (
    claim_id INTEGER PRIMARY KEY AUTOINCREMENT,
    catalogue TEXT NOT NULL,           -- names the numbering of records
    record_id INTEGER NOT NULL,
    institution TEXT NOT NULL CHECK (institution <> ''),
    account TEXT NOT NULL,
    database TEXT NOT NULL,
    control_number TEXT NOT NULL,
    at_us INTEGER NOT NULL,            -- when the record was accepted
    year INTEGER NOT NULL,             -- of accounting
    category TEXT NOT NULL,
    level TEXT NOT NULL,
    detailed_holdings INTEGER NOT NULL CHECK (detailed_holdings IN (0, 1)),
    cover INTEGER NOT NULL CHECK (cover IN (0, 1)),  -- came with the record
    worth_fen INTEGER NOT NULL,        -- by the tariff of its year, when it was made
    UNIQUE (catalogue, record_id)
) STRICT;

CREATE INDEX claim_of_member ON claim (institution, year, category);

-- A cover image that came after the record, from the same member.
CREATE TABLE cover (
    claim_id INTEGER PRIMARY KEY REFERENCES claim (claim_id),
    at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE decision (
    decision_id INTEGER PRIMARY KEY AUTOINCREMENT,
    claim_id INTEGER NOT NULL REFERENCES claim (claim_id),
    status TEXT NOT NULL CHECK (
        status IN ('pending', 'capped', 'accepted', 'refused', 'withdrawn', 'reversed')
    ),
    at_us INTEGER NOT NULL,
    by_whom TEXT NOT NULL,             -- an operator, or '' for the rules
    reason TEXT NOT NULL,
    account TEXT NOT NULL DEFAULT '',  -- from where the operator decided: `metering/author.py`
    address TEXT NOT NULL DEFAULT '',
    protocol TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX decision_of_claim ON decision (claim_id, decision_id);

-- What of a claim is in the ledger: its credit, a later cover, its reversal.
CREATE TABLE posted (
    claim_id INTEGER NOT NULL REFERENCES claim (claim_id),
    what TEXT NOT NULL CHECK (what IN ('credit', 'cover', 'reversal')),
    PRIMARY KEY (claim_id, what)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER claim_is_final BEFORE UPDATE ON claim
BEGIN SELECT RAISE(ABORT, 'a claim is never updated'); END;
CREATE TRIGGER claim_stays BEFORE DELETE ON claim
BEGIN SELECT RAISE(ABORT, 'a claim is never deleted'); END;
CREATE TRIGGER decision_is_final BEFORE UPDATE ON decision
BEGIN SELECT RAISE(ABORT, 'a decision is never updated'); END;
CREATE TRIGGER decision_stays BEFORE DELETE ON decision
BEGIN SELECT RAISE(ABORT, 'a decision is never deleted'); END;
