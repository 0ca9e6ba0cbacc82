output "client_id" {
  description = "The application's client id: `client-id` of azure/login."
  value       = azuread_application.this.client_id
}

output "object_id" {
  description = "The object id of the application's service principal."
  value       = azuread_service_principal.this.object_id
}

output "subject" {
  description = "The one subject that is let in."
  value       = local.subject
}

output "credentials" {
  description = "Whose tokens Entra takes for the application, to read or to test."
  value = [{
    issuer    = azuread_application_federated_identity_credential.this.issuer
    subject   = azuread_application_federated_identity_credential.this.subject
    audiences = azuread_application_federated_identity_credential.this.audiences
  }]
}
