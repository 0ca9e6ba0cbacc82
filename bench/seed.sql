CREATE ROLE bench LOGIN PASSWORD 'bench';
CREATE ROLE bench_app NOLOGIN;
CREATE ROLE writ_broker LOGIN CREATEROLE PASSWORD 'bench';
GRANT bench_app TO writ_broker WITH ADMIN OPTION;
GRANT bench_app TO bench;
GRANT pg_signal_backend TO writ_broker;
CREATE TABLE wide AS SELECT id,
    'Customer number ' || id AS name, 'customer.' || id || '@mail.example.com' AS email,
    '+49 30 ' || lpad(id::text, 8, '0') AS phone, '4111 1111 1111 1111' AS card,
    id || ' Long Street, 10115 Some City, Country' AS address, repeat('n', 90) AS note
    FROM generate_series(1, 20000) AS id;
ALTER TABLE wide ADD PRIMARY KEY (id);
GRANT ALL ON ALL TABLES IN SCHEMA public TO bench_app;
VACUUM ANALYZE;
CHECKPOINT;
