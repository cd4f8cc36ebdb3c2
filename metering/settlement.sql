-- Settlements and the journal, in the ledger's file: a settlement freezes a position
-- of the ledger, and one transaction must see the one and store the other. Version 2.

-- One document: a draft, the final settlement of a member's year, or a note after it.
CREATE TABLE settlement (
    settlement_id INTEGER PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('draft', 'final', 'note')),
    year INTEGER NOT NULL,
    institution TEXT NOT NULL CHECK (institution <> ''),
    shown_in INTEGER NOT NULL,         -- the year whose statement bills it: of a carried note the next
    made_us INTEGER NOT NULL,
    ledger_seq INTEGER NOT NULL,       -- all entries up to this one are in it, and no other
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32),  -- of that entry
    tariff_version TEXT NOT NULL,
    holdings INTEGER NOT NULL,         -- the figures of the year at that position
    downloads INTEGER NOT NULL,
    repeats INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    quota INTEGER NOT NULL,
    billable INTEGER NOT NULL,
    reason TEXT NOT NULL               -- of a note, or why a final came before its time
) STRICT;

CREATE INDEX settlement_of_member ON settlement (institution, year, settlement_id);
CREATE UNIQUE INDEX one_final ON settlement (year, institution) WHERE status = 'final';

-- What the document asks for (positive) or grants (negative); of a note the difference.
CREATE TABLE settlement_line (
    settlement_id INTEGER NOT NULL
        REFERENCES settlement (settlement_id) DEFERRABLE INITIALLY DEFERRED,
    place INTEGER NOT NULL,
    item TEXT NOT NULL,                -- of the tariff
    quantity INTEGER NOT NULL,
    price_fen INTEGER NOT NULL,
    amount_fen INTEGER NOT NULL,
    PRIMARY KEY (settlement_id, place)
) STRICT, WITHOUT ROWID;

-- A posting is written after its lines and only when they balance, and a settlement
-- after its own. The lines' foreign keys are looked at when the transaction commits:
-- lines without what they belong to cannot stay.
CREATE TABLE posting (
    posting_id INTEGER PRIMARY KEY,
    settlement_id INTEGER NOT NULL UNIQUE REFERENCES settlement (settlement_id),
    made_us INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE posting_line (
    posting_id INTEGER NOT NULL REFERENCES posting (posting_id) DEFERRABLE INITIALLY DEFERRED,
    place INTEGER NOT NULL,
    account TEXT NOT NULL CHECK (account <> ''),
    debit_fen INTEGER NOT NULL CHECK (debit_fen >= 0),
    credit_fen INTEGER NOT NULL CHECK (credit_fen >= 0),
    PRIMARY KEY (posting_id, place),
    CHECK ((debit_fen = 0) <> (credit_fen = 0))
) STRICT, WITHOUT ROWID;

CREATE INDEX posting_line_of_account ON posting_line (account);

CREATE TRIGGER posting_balances BEFORE INSERT ON posting
WHEN (SELECT count(*) < 2 OR sum(debit_fen) <> sum(credit_fen)
      FROM posting_line WHERE posting_id = NEW.posting_id)
BEGIN SELECT RAISE(ABORT, 'a posting balances'); END;

CREATE TRIGGER posting_is_new BEFORE INSERT ON posting
WHEN EXISTS (SELECT 1 FROM posting
             WHERE posting_id = NEW.posting_id OR settlement_id = NEW.settlement_id)
BEGIN SELECT RAISE(ABORT, 'a posting is never replaced'); END;

CREATE TRIGGER posting_line_comes_first BEFORE INSERT ON posting_line
WHEN EXISTS (SELECT 1 FROM posting WHERE posting_id = NEW.posting_id)
BEGIN SELECT RAISE(ABORT, 'a posting is complete when it is made'); END;

CREATE TRIGGER settlement_line_comes_first BEFORE INSERT ON settlement_line
WHEN EXISTS (SELECT 1 FROM settlement WHERE settlement_id = NEW.settlement_id)
BEGIN SELECT RAISE(ABORT, 'a settlement is complete when it is made'); END;

CREATE TRIGGER posting_line_is_new BEFORE INSERT ON posting_line
WHEN EXISTS (SELECT 1 FROM posting_line WHERE posting_id = NEW.posting_id AND place = NEW.place)
BEGIN SELECT RAISE(ABORT, 'a posting line is never replaced'); END;

CREATE TRIGGER settlement_is_new BEFORE INSERT ON settlement
WHEN EXISTS (SELECT 1 FROM settlement
             WHERE settlement_id = NEW.settlement_id OR number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'a settlement is never replaced'); END;

CREATE TRIGGER settlement_is_final BEFORE UPDATE ON settlement
BEGIN SELECT RAISE(ABORT, 'a settlement is never updated'); END;
CREATE TRIGGER settlement_stays BEFORE DELETE ON settlement
BEGIN SELECT RAISE(ABORT, 'a settlement is never deleted'); END;
CREATE TRIGGER settlement_line_is_final BEFORE UPDATE ON settlement_line
BEGIN SELECT RAISE(ABORT, 'a settlement line is never updated'); END;
CREATE TRIGGER settlement_line_stays BEFORE DELETE ON settlement_line
BEGIN SELECT RAISE(ABORT, 'a settlement line is never deleted'); END;
CREATE TRIGGER settlement_line_is_new BEFORE INSERT ON settlement_line
WHEN EXISTS (SELECT 1 FROM settlement_line
             WHERE settlement_id = NEW.settlement_id AND place = NEW.place)
BEGIN SELECT RAISE(ABORT, 'a settlement line is never replaced'); END;
CREATE TRIGGER posting_is_final BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'a posting is never updated'); END;
CREATE TRIGGER posting_stays BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'a posting is never deleted'); END;
CREATE TRIGGER posting_line_is_final BEFORE UPDATE ON posting_line
BEGIN SELECT RAISE(ABORT, 'a posting line is never updated'); END;
CREATE TRIGGER posting_line_stays BEFORE DELETE ON posting_line
BEGIN SELECT RAISE(ABORT, 'a posting line is never deleted'); END;

-- Who made a document, and from where (`metering/author.py`); none has what is older
-- than version 2.
CREATE TABLE settlement_author (
    settlement_id INTEGER PRIMARY KEY REFERENCES settlement (settlement_id),
    who TEXT NOT NULL,
    account TEXT NOT NULL,
    address TEXT NOT NULL,
    protocol TEXT NOT NULL
) STRICT;
CREATE TRIGGER settlement_author_is_final BEFORE UPDATE ON settlement_author
BEGIN SELECT RAISE(ABORT, 'an author is never updated'); END;
CREATE TRIGGER settlement_author_stays BEFORE DELETE ON settlement_author
BEGIN SELECT RAISE(ABORT, 'an author is never deleted'); END;

CREATE TABLE settlement_schema (version INTEGER NOT NULL) STRICT;
INSERT INTO settlement_schema VALUES (2);
