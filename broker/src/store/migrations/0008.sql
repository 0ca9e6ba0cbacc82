-- The last turn of each target whose password is changed in turns.
CREATE TABLE rotations (
    target   TEXT   PRIMARY KEY,
    version  BIGINT NOT NULL,
    document TEXT   NOT NULL
);
