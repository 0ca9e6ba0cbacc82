-- What was minted: read for lists of what was taken back. A writ of which that is not known may have got anything.
ALTER TABLE writs ADD COLUMN kind TEXT;
UPDATE writs SET kind = document -> 'credential' ->> 'kind';
CREATE INDEX writs_ended_certificates ON writs (expires, id, kind, ended, state)
    WHERE (kind IS NULL OR kind = 'ssh_certificate') AND (ended IS NOT NULL OR state NOT IN ('intended', 'issued'));
