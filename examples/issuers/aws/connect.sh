#!/bin/sh
# Where the role is at work: on EC2, in ECS, EKS or Lambda. `writ` takes the role's own credentials and asks STS in the role's region
# for a token for each connection.
#
# Once, for the account and for the role:
#   aws iam enable-outbound-web-identity-federation
#   aws iam put-role-policy --role-name deployer --policy-name writ --policy-document file://role-policy.json
set -eu
writ connect payments-db --database payments --gateway gateway.example:5432 --ca-file ca.pem -- psql -v ON_ERROR_STOP=1 -f migrations.sql
