-- Institutions of the consortium and the accounts beneath them.
CREATE TABLE institution (
    code TEXT PRIMARY KEY COLLATE NOCASE,
    name TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'ended')),
    created_us INTEGER NOT NULL,
    -- The character set of its system's terms and MARC records; '' is UTF-8.
    charset TEXT NOT NULL DEFAULT '' CHECK (charset IN ('', 'gb18030', 'marc-8'))
) STRICT;

-- An operator of the consortium belongs to no institution.
CREATE TABLE account (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    institution TEXT REFERENCES institution (code),
    role TEXT NOT NULL CHECK (role IN ('member', 'operator')),
    password_hash TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    CHECK ((role = 'operator') = (institution IS NULL))
) STRICT;

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
    revoked_us INTEGER
) STRICT;
CREATE UNIQUE INDEX api_key_name ON api_key (institution, name) WHERE revoked_us IS NULL;
