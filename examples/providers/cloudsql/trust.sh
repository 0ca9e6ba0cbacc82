# What the project's admin runs, once. It is pasted, line by line: the project's number is in the member's name.
gcloud iam workload-identity-pools create writ --location=global --project=acme-prod
gcloud iam workload-identity-pools providers create-oidc writ --workload-identity-pool=writ --location=global --project=acme-prod --issuer-uri=https://issuer.example/writ --attribute-mapping='google.subject=assertion.sub' --attribute-condition="assertion.sub.startsWith('target:')"
gcloud iam service-accounts add-iam-policy-binding orders-reader@acme-prod.iam.gserviceaccount.com --project=acme-prod --role=roles/iam.workloadIdentityUser --member=principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/subject/target:orders
gcloud iam service-accounts add-iam-policy-binding orders-owner@acme-prod.iam.gserviceaccount.com --project=acme-prod --role=roles/iam.workloadIdentityUser --member=principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/subject/target:orders
gcloud sql users create orders-reader@acme-prod.iam --instance=orders --type=cloud_iam_service_account --project=acme-prod
gcloud projects add-iam-policy-binding acme-prod --role=roles/cloudsql.instanceUser --member=serviceAccount:orders-reader@acme-prod.iam.gserviceaccount.com
gcloud sql users create orders-owner@acme-prod.iam --instance=orders --type=cloud_iam_service_account --project=acme-prod
gcloud projects add-iam-policy-binding acme-prod --role=roles/cloudsql.instanceUser --member=serviceAccount:orders-owner@acme-prod.iam.gserviceaccount.com
