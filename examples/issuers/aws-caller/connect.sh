#!/bin/sh
# Where the role is at work: on EC2, in ECS, EKS or Lambda. Nothing has to be allowed or switched on. `writ` signs for each connection,
# where the role gets no token of its account.
set -eu
export AWS_REGION=eu-west-1
writ connect payments-db --database payments --gateway gateway.example:5432 --ca-file ca.pem -- psql -v ON_ERROR_STOP=1 -f migrations.sql
