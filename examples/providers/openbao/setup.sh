#!/bin/sh
# What an admin of OpenBao runs, once, after `bao login`. Vault takes the same from `vault`.
set -eu

# The database, whose users OpenBao makes and takes away. `openbao` there has CREATEROLE, and is a member of the roles that it
# grants and of pg_signal_backend.
bao secrets enable database
bao write database/config/orders - <<'JSON'
{
  "plugin_name": "postgresql-database-plugin",
  "allowed_roles": ["orders-reader", "orders-owner"],
  "connection_url": "postgresql://{{username}}:{{password}}@orders.example:5432/orders?sslmode=verify-full",
  "username": "openbao",
  "password": "the password of openbao, which the next line replaces by one that nobody knows"
}
JSON
bao write -force database/rotate-root/orders
for what in reader owner; do
    # A revocation ends the user's connections too: OpenBao's own does not.
    bao write "database/roles/orders-$what" - <<JSON
{
  "db_name": "orders",
  "creation_statements": [
    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE orders_$what"
  ],
  "revocation_statements": [
    "ALTER ROLE \"{{name}}\" NOLOGIN",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
    "DROP ROLE IF EXISTS \"{{name}}\""
  ],
  "default_ttl": "1m",
  "max_ttl": "24h"
}
JSON
done

# Where Writ notes which token belongs to which writ: an engine of its own.
bao secrets enable -path=writ -version=2 kv

# Whom OpenBao trusts.
bao auth enable jwt
bao write auth/jwt/config oidc_discovery_url=https://issuer.example/writ bound_issuer=https://issuer.example/writ

# What Writ may do: no more than this.
bao policy write writ-orders - <<'HCL'
path "database/creds/orders-reader" { capabilities = ["read"] }
path "database/creds/orders-owner" { capabilities = ["read"] }
path "writ/data/*" { capabilities = ["create", "read"] }
path "writ/metadata/*" { capabilities = ["list", "delete"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
HCL

# Who is Writ: assertions for this target and this OpenBao. Their tokens live for a minute, and longer only if Writ asks for it;
# `token_max_ttl` is the longest that a session may last. The audit says for which writ each request was.
bao write auth/jwt/role/writ-orders - <<'JSON'
{
  "role_type": "jwt",
  "user_claim": "sub",
  "bound_audiences": ["https://bao.example"],
  "bound_subject": "target:orders",
  "claim_mappings": { "writ": "writ", "session": "session", "workload_subject": "workload" },
  "token_policies": ["writ-orders"],
  "token_no_default_policy": true,
  "token_type": "service",
  "token_ttl": "60s",
  "token_max_ttl": "24h"
}
JSON
