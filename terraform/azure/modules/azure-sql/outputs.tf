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

output "sql" {
  description = "What an admin of the database runs in it, once. By the object id, so that no other application of that name is meant."
  value = join("\n", concat(
    ["CREATE USER [${module.app.name}] FROM EXTERNAL PROVIDER WITH OBJECT_ID = '${module.app.object_id}';"],
    [for role in var.database_roles : "ALTER ROLE [${role}] ADD MEMBER [${module.app.name}];"],
  ))
}

output "writ_target" {
  description = "The target in Writ's configuration."
  value = trimspace(<<-EOT
    [[broker.target]]
    name = ${jsonencode(var.target)}
    protocol = "azure"
    host = ${jsonencode(var.host)}

    [broker.target.provider.azure]
    resource = "sql"
    ${join("\n", module.app.settings)}
  EOT
  )
}
