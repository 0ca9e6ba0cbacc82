locals {
  # What Writ's configuration calls these things; see docs/configuration.md.
  audience = "//${local.pool}/providers/${var.pool.provider_id}"

  settings = [
    "service_account = ${jsonencode(local.email)}",
    "default_scope = \"default\"",
    "scopes = { default = { oauth = ${jsonencode(var.scopes)} } }",
  ]
  federation = compact([
    "pool_provider = ${jsonencode(trimprefix(local.audience, "//iam.googleapis.com/"))}",
    "audience = ${jsonencode(var.pool.assertion_audience)}",
    length(var.workload_subjects) == 0 ? "" : "subject = \"workload\"",
    var.lifetime == 3600 ? "" : "max_lifetime_seconds = ${var.lifetime}",
  ])
}

output "email" {
  description = "The account's address."
  value       = local.email

  depends_on = [google_service_account.this]
}

output "member" {
  description = "The account as policies name it, for roles on single resources."
  value       = "serviceAccount:${local.email}"

  depends_on = [google_service_account.this]
}

output "project_roles" {
  description = "What the account may do on the project, to read or to test."
  value       = [for one in google_project_iam_member.this : { role = one.role, condition = try(one.condition[0].expression, null) }]
}

output "members" {
  description = "Who may become the account, to read or to test."
  value       = sort([for one in google_service_account_iam_member.this : one.member])
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    protocol = "gcp"
    host = ${jsonencode(var.host)}

    [broker.target.provider.gcp]
    ${join("\n", local.settings)}

    [broker.target.provider.gcp.federation]
    ${join("\n", local.federation)}
  EOT
  )
}
