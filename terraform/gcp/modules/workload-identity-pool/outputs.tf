output "pool" {
  description = "What the modules `service-account`, `cloudsql` and `gke` take as `pool`."
  value = {
    project_number     = var.project_number
    pool_id            = var.pool_id
    provider_id        = var.provider_id
    assertion_audience = local.audience
    subjects           = local.subjects
  }

  # Accounts that let its members in come after it.
  depends_on = [google_iam_workload_identity_pool_provider.this]
}

output "name" {
  description = "The pool's name, with the project's number."
  value       = local.name
}

output "attribute_condition" {
  description = "The condition as it was written, to read or to test."
  value       = google_iam_workload_identity_pool_provider.this.attribute_condition
}

output "writ_issues" {
  description = "The lines of Writ's configuration that make the broker this issuer."
  value       = "[broker.issues]\nurl = ${jsonencode(var.issuer_url)}"
}
