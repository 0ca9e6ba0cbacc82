locals {
  # What Writ's configuration calls these things; see docs/configuration.md.
  suffix = startswith(var.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"

  scopes = length(var.scopes) > 0 ? var.scopes : length(var.statements) == 0 ? {} : {
    default = [for one in var.statements : { actions = one.actions, resources = one.resources, conditions = one.conditions }]
  }
  default_scope = length(var.scopes) > 0 ? var.default_scope : length(local.scopes) > 0 ? "default" : null

  assume = join(", ", compact([
    var.broker == null ? "" : "by = \"broker\"",
    var.broker == null ? "" : "external_id = ${jsonencode(var.broker.external_id)}",
    var.issuer == null ? "" : var.issuer.audience == "sts.amazonaws.com" ? "" : "audience = ${jsonencode(var.issuer.audience)}",
    length(var.workload_subjects) == 0 ? "" : "subject = \"workload\"",
    var.max_session_duration == 3600 ? "" : "max_duration_seconds = ${var.max_session_duration}",
  ]))

  settings = compact([
    "region = ${jsonencode(var.region)}",
    "role_arn = ${jsonencode(aws_iam_role.this.arn)}",
    length(var.additional_roles) == 0 ? "" : "roles = { ${join(", ", [for name, arn in var.additional_roles : "${name} = ${jsonencode(arn)}"])} }",
    local.default_scope == null ? "" : "default_scope = ${jsonencode(local.default_scope)}",
    local.assume == "" ? "" : "assume = { ${local.assume} }",
  ])

  scope_tables = flatten([for name, scope in local.scopes : [for one in scope : join("\n", compact([
    "[[broker.target.provider.aws.scopes.${name}]]",
    "actions = ${jsonencode(one.actions)}",
    "resources = ${jsonencode(one.resources)}",
    length(one.conditions) == 0 ? "" : "conditions = { ${join(", ", [
      for operator, keys in one.conditions : "${jsonencode(operator)} = { ${join(", ", [for key, values in keys : "${jsonencode(key)} = ${jsonencode(values)}"])} }"
    ])} }",
  ]))]])
}

output "arn" {
  description = "The role's ARN."
  value       = aws_iam_role.this.arn
}

output "name" {
  description = "The role's name."
  value       = aws_iam_role.this.name
}

output "trust_policy" {
  description = "The trust policy as it was written, to read or to test."
  value       = aws_iam_role.this.assume_role_policy
}

output "permissions_policy" {
  description = "What the role may do, as it was written; null where it may do nothing of its own."
  value       = one(aws_iam_role_policy.this[*].policy)
}

output "broker_statements" {
  description = "With `broker`: what the broker's own role must be allowed, and nothing else."
  value = var.broker == null ? [] : [{
    Effect   = "Allow"
    Action   = concat(["sts:AssumeRole"], local.actions)
    Resource = aws_iam_role.this.arn
  }]
}

output "revoker_statements" {
  description = "What who takes sessions back (`writ targets revoke-older`) must be allowed on this role: the broker, or the role in `assume.revoker`."
  value = [{
    Effect   = "Allow"
    Action   = ["iam:GetRolePolicy", "iam:PutRolePolicy"]
    Resource = aws_iam_role.this.arn
  }]
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    protocol = "aws"
    host = "sts.${var.region}.${local.suffix}"

    [broker.target.provider.aws]
    ${join("\n", local.settings)}

    ${join("\n\n", local.scope_tables)}
  EOT
  )
}
