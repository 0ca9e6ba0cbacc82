locals {
  pool     = "iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${var.pool_id}"
  audience = coalesce(var.audience, "https://${local.pool}/providers/github")
  email    = "${var.account_id}@${var.project_id}.iam.gserviceaccount.com"

  # A job on a branch or tag that runs in an environment has `ref`, too: who asks for an environment asks for it by name.
  context = (
    var.environment != null ? "assertion.environment == '${coalesce(var.environment, "-")}'" :
    var.branch != null ? "assertion.ref == 'refs/heads/${coalesce(var.branch, "-")}'" : "assertion.ref == 'refs/tags/${coalesce(var.tag, "-")}'"
  )
}

resource "google_iam_workload_identity_pool" "this" {
  project                   = var.project_id
  workload_identity_pool_id = var.pool_id
  display_name              = "GitHub Actions"
  description               = "Jobs of ${var.repository.owner}/${var.repository.name}"

  lifecycle {
    precondition {
      condition     = length([for one in [var.environment, var.branch, var.tag] : one if one != null]) == 1
      error_message = "Exactly one of environment, branch and tag must be written: it says which jobs of the repository are let in. Prefer environment."
    }
  }
}

resource "google_iam_workload_identity_pool_provider" "this" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  description                        = "Jobs of ${var.repository.owner}/${var.repository.name}"

  # The subject is made of numbers: GitHub's own can be longer than the 127 bytes that Google takes.
  attribute_mapping = {
    "google.subject"          = "'repository:' + assertion.repository_id + ':run:' + assertion.run_id"
    "attribute.repository_id" = "assertion.repository_id"
  }

  attribute_condition = join(" && ", concat([
    "assertion.repository_owner_id == '${var.repository.owner_id}'",
    "assertion.repository_id == '${var.repository.id}'",
    local.context,
    "assertion.event_name in [${join(", ", [for event in sort(var.events) : "'${event}'"])}]",
  ], var.job_workflow_ref == null ? [] : ["assertion.job_workflow_ref == '${coalesce(var.job_workflow_ref, "-")}'"]))

  oidc {
    issuer_uri        = var.issuer_url
    allowed_audiences = [local.audience]
  }
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = var.account_id
  display_name = "GitHub Actions: ${var.repository.owner}/${var.repository.name}"
}

resource "google_service_account_iam_member" "this" {
  service_account_id = google_service_account.this.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://${local.pool}/attribute.repository_id/${var.repository.id}"
}

resource "google_project_iam_member" "this" {
  for_each = { for one in var.project_roles : "${one.role}${one.condition == null ? "" : "/${one.condition.title}"}" => one }

  project = var.project_id
  role    = each.value.role
  member  = "serviceAccount:${local.email}"

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }

  depends_on = [google_service_account.this]
}
