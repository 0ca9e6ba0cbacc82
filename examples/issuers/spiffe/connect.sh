#!/bin/sh
# Where the workload runs, beside an agent: `writ` asks the agent's Workload API for a JWT-SVID.
set -eu
export SPIFFE_ENDPOINT_SOCKET=unix:///run/spire/agent/public/api.sock
# Which of several identities.
export WRIT_SPIFFE_ID=spiffe://prod.example.org/ns/payments/sa/deployer
writ connect payments-db --database payments --gateway gateway.example:5432 --ca-file ca.pem -- psql -v ON_ERROR_STOP=1 -f migrations.sql
