#!/bin/sh
# On a machine of Compute Engine that runs as the service account: `writ` asks the metadata server.
#
# Once:
#   gcloud compute instances create runner-1 --zone europe-west1-b --service-account runner@acme-prod.iam.gserviceaccount.com
set -eu
writ connect payments-db --database payments --gateway gateway.example:5432 --ca-file ca.pem -- psql -v ON_ERROR_STOP=1 -f report.sql
