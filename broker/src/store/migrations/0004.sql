CREATE TABLE freezes (
    id       TEXT   PRIMARY KEY,
    scope    TEXT   NOT NULL,
    document TEXT   NOT NULL
);
CREATE INDEX freezes_by_scope ON freezes (scope);
