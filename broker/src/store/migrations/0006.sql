-- What ended before its time: read for lists of what was taken back.
CREATE INDEX writs_ended ON writs (expires) WHERE state NOT IN ('intended', 'issued');
