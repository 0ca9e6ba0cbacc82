-- At PostgreSQL 16 and later: two users that act as one role, and the login that changes their passwords.
CREATE ROLE app;
CREATE ROLE app_a LOGIN IN ROLE app PASSWORD 'PASSWORD';
CREATE ROLE app_b LOGIN IN ROLE app;
ALTER ROLE app_a SET role TO app;
ALTER ROLE app_b SET role TO app;
CREATE ROLE writ_rotator LOGIN CREATEROLE PASSWORD 'ROTATOR';
GRANT app_a, app_b TO writ_rotator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
