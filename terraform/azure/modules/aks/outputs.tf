output "client_id" {
  description = "The application's client id."
  value       = module.app.client_id
}

output "object_id" {
  description = "The object id of the application's service principal."
  value       = module.app.object_id
}

output "credentials" {
  description = "Whose tokens Entra takes for the application, to read or to test."
  value       = module.app.credentials
}

output "writ_issues" {
  description = "The lines of Writ's configuration that make the broker this issuer."
  value       = module.app.writ_issues
}

output "rbac" {
  description = "What an admin of the cluster applies (`terraform output -raw rbac | kubectl apply -f -`), beside the namespace and its accounts."
  value       = join("---\n", [yamlencode(local.role), yamlencode(local.binding)])
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    protocol = "kubernetes"
    host = ${jsonencode(var.host)}
    ca_file = ${jsonencode(coalesce(var.ca_file, "/etc/writ/${var.target}.pem"))}

    [broker.target.provider.kubernetes]
    service_account = ${jsonencode("${var.namespace}/${var.service_accounts[0]}")}
    service_accounts = ${jsonencode([for account in slice(var.service_accounts, 1, length(var.service_accounts)) : "${var.namespace}/${account}"])}

    [broker.target.provider.kubernetes.aks]
    ${join("\n", module.app.settings)}
  EOT
  )
}
