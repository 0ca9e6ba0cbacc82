locals {
  # What Writ's configuration calls these things; see docs/configuration.md.
  settings = ["service_account = ${jsonencode(module.account.email)}"]
  federation = compact([
    "pool_provider = ${jsonencode("projects/${var.pool.project_number}/locations/global/workloadIdentityPools/${var.pool.pool_id}/providers/${var.pool.provider_id}")}",
    "audience = ${jsonencode(var.pool.assertion_audience)}",
    length(var.workload_subjects) == 0 ? "" : "subject = \"workload\"",
  ])
  ca_file = var.dns_endpoint ? var.ca_file : coalesce(var.ca_file, "/etc/writ/${var.target}.pem")

  target = compact([
    "[[broker.target]]",
    "name = ${jsonencode(var.target)}",
    "protocol = \"kubernetes\"",
    "host = ${jsonencode(var.host)}",
    local.ca_file == null ? "" : "ca_file = ${jsonencode(local.ca_file)}",
  ])
}

output "email" {
  description = "The account's address: the user that the cluster sees."
  value       = module.account.email
}

output "members" {
  description = "Who may become the account, to read or to test."
  value       = module.account.members
}

output "rbac" {
  description = "What an admin of the cluster applies (`terraform output -raw rbac | kubectl apply -f -`)."
  value = join("---\n", flatten([for namespace, roles in var.role_bindings : [for role in roles : yamlencode({
    apiVersion = "rbac.authorization.k8s.io/v1"
    kind       = "RoleBinding"
    metadata   = { name = "writ-${var.target}-${replace(role.name, ":", "-")}", namespace = namespace }
    subjects   = [{ kind = "User", name = module.account.email, apiGroup = "rbac.authorization.k8s.io" }]
    roleRef    = { kind = role.kind, name = role.name, apiGroup = "rbac.authorization.k8s.io" }
  })]]))
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value       = join("\n", concat(local.target, ["", "[broker.target.provider.gke]"], local.settings, ["", "[broker.target.provider.gke.federation]"], local.federation))
}
