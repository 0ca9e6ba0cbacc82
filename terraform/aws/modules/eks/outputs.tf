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
    "cluster = ${jsonencode(var.cluster_name)}",
    "role_arn = ${jsonencode(module.role.arn)}",
    length(var.additional_roles) == 0 ? "" : "roles = { ${join(", ", [for name, arn in var.additional_roles : "${name} = ${jsonencode(arn)}"])} }",
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

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    protocol = "kubernetes"
    host = ${jsonencode(var.host)}
    ca_file = ${jsonencode(coalesce(var.ca_file, "/etc/writ/${var.target}.pem"))}

    [broker.target.provider.eks]
    ${join("\n", local.settings)}
  EOT
  )
}
