output "workload_identity_provider" {
  description = "The provider's name: `workload_identity_provider` of google-github-actions/auth."
  value       = trimprefix("${local.pool}/providers/github", "iam.googleapis.com/")
}

output "email" {
  description = "The account's address: `service_account` of google-github-actions/auth."
  value       = local.email

  depends_on = [google_service_account.this]
}

output "attribute_condition" {
  description = "The condition as it was written, to read or to test."
  value       = google_iam_workload_identity_pool_provider.this.attribute_condition
}
