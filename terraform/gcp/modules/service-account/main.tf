locals {
  account_id = coalesce(var.account_id, "writ-${var.target}")
  email      = "${local.account_id}@${var.project_id}.iam.gserviceaccount.com"
  subjects   = length(var.workload_subjects) == 0 ? ["target:${var.target}"] : sort(var.workload_subjects)
  pool       = "iam.googleapis.com/projects/${var.pool.project_number}/locations/global/workloadIdentityPools/${var.pool.pool_id}"
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = local.account_id
  display_name = "Writ: ${var.target}"
  description  = "Sessions of the target ${var.target}, given out by Writ"

  lifecycle {
    precondition {
      condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", local.account_id))
      error_message = "The account's id ${local.account_id} is none that Google takes: 6 to 30 of a-z, 0-9 and -. Write another one as account_id."
    }

    precondition {
      condition     = length(setsubtract(local.subjects, var.pool.subjects)) == 0
      error_message = "The pool does not take tokens of ${join(", ", setsubtract(local.subjects, var.pool.subjects))}: write them into its targets or workload_subjects."
    }

    precondition {
      condition     = var.lifetime <= 3600 || var.lifetime_extension
      error_message = "lifetime is over 3600 seconds: Google gives no longer token unless the organization's policy iam.allowServiceAccountCredentialLifetimeExtension lists the account. Write 3600, or lifetime_extension = true where it does."
    }
  }
}

# One whole subject each: never the pool as a whole, nor an attribute that several share.
resource "google_service_account_iam_member" "this" {
  for_each = toset(local.subjects)

  service_account_id = google_service_account.this.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://${local.pool}/subject/${each.value}"
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
