CREATE TABLE approvals (
    id       TEXT   PRIMARY KEY,
    version  BIGINT NOT NULL,
    open     BIGINT NOT NULL,
    gateway  TEXT   NOT NULL,
    settled  BIGINT,
    until    BIGINT,
    document TEXT   NOT NULL
);
CREATE INDEX approvals_open ON approvals (open, id);
CREATE INDEX approvals_settled ON approvals (gateway, settled);
CREATE INDEX approvals_windows ON approvals (until);
