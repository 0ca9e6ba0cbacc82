-- In the database `postgres`, by the server's Entra administrator: the object ids are those of the clients' service principals.
select * from pgaadauth_create_principal_with_oid('orders_reader', '22223333-cccc-4444-dddd-5555eeee6666', 'service', false, false);
select * from pgaadauth_create_principal_with_oid('orders_owner', '33334444-dddd-5555-eeee-6666ffff7777', 'service', false, false);
