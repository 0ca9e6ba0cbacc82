CREATE TABLE ledger_entries_by_number (
    number   INTEGER PRIMARY KEY,
    bytes    BLOB   NOT NULL
);
INSERT INTO ledger_entries_by_number (number, bytes) SELECT number, bytes FROM ledger_entries;
DROP TABLE ledger_entries;
ALTER TABLE ledger_entries_by_number RENAME TO ledger_entries;
CREATE TABLE token_uses_by_token (
    token    TEXT   PRIMARY KEY,
    used     BIGINT NOT NULL,
    expires  BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO token_uses_by_token (token, used, expires) SELECT token, used, expires FROM token_uses;
DROP TABLE token_uses;
ALTER TABLE token_uses_by_token RENAME TO token_uses;
CREATE INDEX token_uses_ended ON token_uses (expires);
