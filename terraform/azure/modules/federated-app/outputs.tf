locals {
  # What Writ's configuration calls these things; see docs/configuration.md.
  entra = join(", ", compact([
    var.cloud == "public" ? "" : "cloud = ${jsonencode(var.cloud)}",
    length(var.workload_subjects) == 0 ? "" : "subject = \"workload\"",
  ]))

  settings = compact([
    "tenant_id = ${jsonencode(var.tenant_id)}",
    "client_id = ${jsonencode(azuread_application.this.client_id)}",
    local.entra == "" ? "" : "entra = { ${local.entra} }",
  ])

  host = coalesce(var.host, {
    public        = "management.azure.com"
    us_government = "management.usgovcloudapi.net"
    china         = "management.chinacloudapi.cn"
  }[var.cloud])
}

output "client_id" {
  description = "The application's client id."
  value       = azuread_application.this.client_id
}

output "object_id" {
  description = "The object id of the application's service principal: whom rights are given to."
  value       = azuread_service_principal.this.object_id
}

output "name" {
  description = "The application's display name."
  value       = azuread_application.this.display_name
}

output "credentials" {
  description = "Whose tokens Entra takes for the application, to read or to test."
  value       = [for one in azuread_application_federated_identity_credential.this : { issuer = one.issuer, subject = one.subject, audiences = one.audiences }]
}

output "role_assignments" {
  description = "What the application may do at Azure, to read or to test."
  value       = [for one in azurerm_role_assignment.this : { role = one.role_definition_name, scope = one.scope }]
}

output "settings" {
  description = "The settings of the provider in Writ's configuration, for the modules that use this one."
  value       = local.settings
}

output "writ_issues" {
  description = "The lines of Writ's configuration that make the broker this issuer."
  value       = "[broker.issues]\nurl = ${jsonencode(var.issuer_url)}\nalgorithm = \"RS256\""
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    protocol = "azure"
    host = ${jsonencode(local.host)}

    [broker.target.provider.azure]
    resource = ${jsonencode(var.resource)}
    ${join("\n", local.settings)}
  EOT
  )
}
