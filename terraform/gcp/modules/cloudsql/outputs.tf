locals {
  # What Writ's configuration calls these things; see docs/configuration.md.
  settings = ["service_account = ${jsonencode(module.account.email)}"]
  federation = compact([
    "pool_provider = ${jsonencode("projects/${var.pool.project_number}/locations/global/workloadIdentityPools/${var.pool.pool_id}/providers/${var.pool.provider_id}")}",
    "audience = ${jsonencode(var.pool.assertion_audience)}",
    length(var.workload_subjects) == 0 ? "" : "subject = \"workload\"",
  ])
}

output "email" {
  description = "The account's address."
  value       = module.account.email
}

output "user" {
  description = "The database's user."
  value       = google_sql_user.this.name
}

output "members" {
  description = "Who may become the account, to read or to test."
  value       = module.account.members
}

output "sql" {
  description = "What an admin of the database runs, once: a user that logs in by IAM has no rights of its own."
  value       = join("\n", [for role in var.database_roles : "GRANT \"${role}\" TO \"${local.user}\";"])
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    host = ${jsonencode(var.host)}
    port = ${var.port}
    ca_file = ${jsonencode(coalesce(var.ca_file, "/etc/writ/${var.target}.pem"))}

    [broker.target.provider.cloudsql]
    ${join("\n", local.settings)}

    [broker.target.provider.cloudsql.federation]
    ${join("\n", local.federation)}
  EOT
  )
}
