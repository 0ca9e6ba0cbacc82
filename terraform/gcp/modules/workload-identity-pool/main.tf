locals {
  name     = "projects/${var.project_number}/locations/global/workloadIdentityPools/${var.pool_id}"
  audience = coalesce(var.audience, "https://iam.googleapis.com/${local.name}/providers/${var.provider_id}")
  subjects = sort(concat([for target in var.targets : "target:${target}"], var.workload_subjects))
}

resource "google_iam_workload_identity_pool" "this" {
  project                   = var.project_id
  workload_identity_pool_id = var.pool_id
  display_name              = "Writ"
  description               = "Targets of Writ's"

  lifecycle {
    precondition {
      condition     = length(local.subjects) > 0
      error_message = "No targets and no workload_subjects: write whose tokens the pool takes. It takes nobody's by default."
    }
  }
}

resource "google_iam_workload_identity_pool_provider" "this" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = var.provider_id
  display_name                       = "Writ's issuer"
  description                        = "Tokens of the targets that the condition names"

  attribute_mapping = {
    "google.subject"   = "assertion.sub"
    "attribute.target" = "assertion.target"
  }

  # Whole subjects of the issuer's own, whatever accounts of the project let in.
  attribute_condition = "assertion.sub in [${join(", ", [for subject in local.subjects : "'${subject}'"])}]"

  oidc {
    issuer_uri        = var.issuer_url
    allowed_audiences = [local.audience]
    jwks_json         = var.jwks_json
  }
}
