locals {
  # What Writ's configuration calls these things; see docs/configuration.md.
  assume = join(", ", compact([
    var.broker == null ? "" : "by = \"broker\"",
    var.broker == null ? "" : "external_id = ${jsonencode(var.broker.external_id)}",
    var.issuer == null ? "" : var.issuer.audience == "sts.amazonaws.com" ? "" : "audience = ${jsonencode(var.issuer.audience)}",
    length(var.workload_subjects) == 0 ? "" : "subject = \"workload\"",
  ]))

  settings = compact([
    "region = ${jsonencode(var.region)}",
    "user = ${jsonencode(var.user)}",
    length(var.users) == 0 ? "" : "users = { ${join(", ", [for name, user in var.users : "${name} = ${jsonencode(user)}"])} }",
    "resource_id = ${jsonencode(var.resource_id)}",
    "role_arn = ${jsonencode(module.role.arn)}",
    local.assume == "" ? "" : "assume = { ${local.assume} }",
  ])
}

output "role_arn" {
  description = "The role's ARN."
  value       = module.role.arn
}

output "role_name" {
  description = "The role's name."
  value       = module.role.name
}

output "trust_policy" {
  description = "The trust policy as it was written, to read or to test."
  value       = module.role.trust_policy
}

output "broker_statements" {
  description = "With `broker`: what the broker's own role must be allowed, and nothing else."
  value       = module.role.broker_statements
}

output "revoker_statements" {
  description = "What who takes sessions back must be allowed on this role."
  value       = module.role.revoker_statements
}

output "sql" {
  description = "What an admin of the database runs, once, before granting the users what they need."
  value       = join("\n", flatten([for user in local.users : ["CREATE USER \"${user}\";", "GRANT rds_iam TO \"${user}\";"]]))
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    host = ${jsonencode(var.host)}
    port = ${var.port}
    ca_file = ${jsonencode(coalesce(var.ca_file, "/etc/writ/${var.region}-bundle.pem"))}

    [broker.target.provider.rds]
    ${join("\n", local.settings)}
  EOT
  )
}
