CREATE TABLE ledger_head (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    size     BIGINT NOT NULL,
    root     BLOB   NOT NULL,
    applied  BIGINT NOT NULL
);
CREATE TABLE ledger_entries (
    number   BIGINT PRIMARY KEY,
    bytes    BLOB   NOT NULL
);
CREATE TABLE writs (
    id       TEXT   PRIMARY KEY,
    session  TEXT   NOT NULL UNIQUE,
    gateway  TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    opened   BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    document TEXT   NOT NULL,
    client   TEXT   NOT NULL,
    ended    BIGINT,
    ending   TEXT,
    commands BIGINT
);
CREATE INDEX writs_unended ON writs (gateway) WHERE ended IS NULL;
CREATE INDEX writs_unsettled ON writs (state, expires) WHERE state IN ('intended', 'issued', 'irrevocable');
CREATE TABLE segments (
    session  TEXT   NOT NULL,
    stream   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    digest   TEXT   NOT NULL,
    bytes    BIGINT NOT NULL,
    PRIMARY KEY (session, stream, sequence)
);
CREATE TABLE token_uses (
    token    TEXT   PRIMARY KEY,
    used     BIGINT NOT NULL,
    expires  BIGINT NOT NULL
);
CREATE INDEX token_uses_ended ON token_uses (expires);
CREATE TABLE join_tokens (
    digest   TEXT   PRIMARY KEY,
    expires  BIGINT NOT NULL,
    used     BIGINT NOT NULL
);
CREATE TABLE gateways (
    id       TEXT   PRIMARY KEY,
    serial   TEXT   NOT NULL,
    sealing  BLOB   NOT NULL,
    enrolled BIGINT NOT NULL,
    seen     BIGINT,
    revoked  BIGINT NOT NULL
);
CREATE TABLE orders (
    session  TEXT   PRIMARY KEY,
    gateway  TEXT   NOT NULL,
    reason   TEXT   NOT NULL
);
CREATE INDEX orders_of_gateway ON orders (gateway);
CREATE TABLE revocations (
    writ     TEXT   PRIMARY KEY,
    due      BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX revocations_due ON revocations (due);
CREATE TABLE policy_sets (
    number   BIGINT PRIMARY KEY,
    hash     TEXT   NOT NULL
);
