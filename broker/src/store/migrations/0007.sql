-- The key that a client proved, by its thumbprint, and why it connected; by which key a token was used first, if by one.
ALTER TABLE writs ADD COLUMN client_key TEXT;
ALTER TABLE writs ADD COLUMN reason TEXT;
CREATE INDEX writs_by_client_key ON writs (client_key, session) WHERE client_key IS NOT NULL;
ALTER TABLE token_uses ADD COLUMN holder TEXT;
