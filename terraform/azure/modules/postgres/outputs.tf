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

output "user" {
  description = "The database's user."
  value       = module.app.name
}

output "sql" {
  description = "What an Entra admin of the server runs, once, in the database `postgres`. By the object id, so that no other application of that name is meant; neither an admin nor one that needs MFA."
  value = join("\n", concat(
    ["SELECT pgaadauth_create_principal_with_oid('${module.app.name}', '${module.app.object_id}', 'service', false, false);"],
    [for role in var.database_roles : "GRANT \"${role}\" TO \"${module.app.name}\";"],
  ))
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    host = ${jsonencode(var.host)}

    [broker.target.provider.azure_database]
    user = ${jsonencode(module.app.name)}
    ${join("\n", module.app.settings)}
  EOT
  )
}
