-- Institutions of the consortium and the accounts beneath them.
CREATE TABLE institution (
    code TEXT PRIMARY KEY COLLATE NOCASE,
    name TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (
        status IN ('registered', 'signed', 'active', 'warned', 'suspended', 'ended')
    ),
    created_us INTEGER NOT NULL,
    -- The character set of its system's terms and MARC records; '' is UTF-8.
    charset TEXT NOT NULL DEFAULT '' CHECK (charset IN ('', 'gb18030', 'marc-8')),
    -- Why it is warned, suspended or ended.
    reason TEXT NOT NULL DEFAULT '',
    -- From when on the agreement is no more; NULL: it renews itself.
    ends_us INTEGER,
    contact TEXT NOT NULL DEFAULT '',
    -- Whether the consortium credits what its certified cataloguers upload.
    uploads INTEGER NOT NULL DEFAULT 0 CHECK (uploads IN (0, 1)),
    -- Names of the databases granted, with spaces between; NULL: all (`store/access_rules.py`).
    search_in TEXT,
    download_from TEXT,
    -- NULL: as the configuration says.
    sessions_max INTEGER CHECK (sessions_max > 0),
    -- Whether its accounts and keys may come from its address ranges alone.
    addresses_only INTEGER NOT NULL DEFAULT 0 CHECK (addresses_only IN (0, 1))
) STRICT;

-- What was signed: for three years each, and on and on until it is ended.
CREATE TABLE agreement (
    agreement_id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),
    signed_us INTEGER NOT NULL,
    from_us INTEGER NOT NULL,
    ends_us INTEGER
) STRICT;
CREATE INDEX agreement_of ON agreement (institution, from_us);

-- What opens a membership, once; only the SHA-256 is kept.
CREATE TABLE activation (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),
    made_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT;

-- Who changed what of whom, when, why and from where (`store/audit.py`).
CREATE TABLE member_audit (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    institution TEXT NOT NULL COLLATE NOCASE,
    reason TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    account TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    protocol TEXT NOT NULL DEFAULT '',
    subject TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX member_audit_of ON member_audit (institution, seq);
CREATE TRIGGER member_audit_is_final BEFORE UPDATE ON member_audit
BEGIN SELECT RAISE(ABORT, 'an audit row is never updated'); END;
CREATE TRIGGER member_audit_stays BEFORE DELETE ON member_audit
BEGIN SELECT RAISE(ABORT, 'an audit row is never deleted'); END;

-- An operator of the consortium belongs to no institution.
CREATE TABLE account (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    institution TEXT REFERENCES institution (code),
    role TEXT NOT NULL CHECK (role IN ('member', 'operator')),
    password_hash TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    -- Of `store/rights.py`, with spaces between them.
    rights TEXT NOT NULL DEFAULT 'search download holdings',
    -- These narrow what the institution has.
    search_in TEXT,
    download_from TEXT,
    sessions_max INTEGER CHECK (sessions_max > 0),
    CHECK ((role = 'operator') = (institution IS NULL))
) STRICT;

-- Addresses of an institution, in CIDR form; those of different ones never overlap.
CREATE TABLE address_range (
    range_id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),
    network TEXT NOT NULL UNIQUE,
    -- Who comes from there without a login.
    account TEXT COLLATE NOCASE REFERENCES account (name),
    added_us INTEGER NOT NULL
) STRICT;
CREATE INDEX address_range_of ON address_range (institution, range_id);

-- What lets the uploads of a cataloguer earn credit, in one language and up to one level.
CREATE TABLE certificate (
    certificate_id INTEGER PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    language TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('basic', 'full')),
    issued_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER
) STRICT;
CREATE INDEX certificate_of ON certificate (account, language);

-- What a program of an institution signs in with instead of a password. Only the
-- SHA-256 of a key is kept; a revoked key stays for the record, and its name is
-- free again.
CREATE TABLE api_key (
    key_id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),
    name TEXT NOT NULL COLLATE NOCASE,
    key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    created_us INTEGER NOT NULL,
    last_used_us INTEGER,
    revoked_us INTEGER,
    rights TEXT NOT NULL DEFAULT 'search download holdings'
) STRICT;
CREATE UNIQUE INDEX api_key_name ON api_key (institution, name) WHERE revoked_us IS NULL;
