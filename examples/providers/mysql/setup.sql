-- The two roles of the example, at MySQL or MariaDB. The broker's own login and its rights: docs/providers/mysql.md.
CREATE ROLE shop_reader, shop_owner;
GRANT SELECT ON shop.* TO shop_reader;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON shop.* TO shop_owner;
GRANT shop_reader, shop_owner TO writ_broker@'%' WITH ADMIN OPTION;
