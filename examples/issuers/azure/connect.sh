#!/bin/sh
# On a machine, or in an App Service, that has the managed identity: `writ` asks the metadata server, or App Service's endpoint.
#
# Once:
#   az ad app create --display-name writ --identifier-uris api://writ
#   az identity create --name runner --resource-group payments
#   az vm identity assign --name runner-1 --resource-group payments --identities runner
set -eu
# Which of several identities, by its application (`az identity show --query clientId`).
export AZURE_CLIENT_ID=99999999-bbbb-cccc-dddd-eeeeeeeeeeee
writ connect payments-db --database payments --audience api://writ --gateway gateway.example:5432 --ca-file ca.pem -- psql -v ON_ERROR_STOP=1 -f report.sql
