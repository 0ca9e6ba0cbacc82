locals {
  name     = coalesce(var.name, "writ-${var.target}")
  subjects = length(var.workload_subjects) == 0 ? ["target:${var.target}"] : sort(var.workload_subjects)

  audience = {
    public        = "api://AzureADTokenExchange"
    us_government = "api://AzureADTokenExchangeUSGov"
    china         = "api://AzureADTokenExchangeChina"
  }[var.cloud]
}

# No password and no certificate: whoever is the application shows a token of Writ's issuer.
resource "azuread_application" "this" {
  display_name            = local.name
  description             = "Sessions of the target ${var.target}, given out by Writ"
  sign_in_audience        = "AzureADMyOrg"
  prevent_duplicate_names = true
  owners                  = var.owners

  lifecycle {
    precondition {
      condition     = length(local.name) <= 63
      error_message = "The application's name ${local.name} is longer than the 63 characters that databases take. Write a shorter one as name."
    }
  }
}

resource "azuread_service_principal" "this" {
  client_id                    = azuread_application.this.client_id
  app_role_assignment_required = true
  owners                       = var.owners
}

# Entra compares issuer, subject and audience as a whole.
resource "azuread_application_federated_identity_credential" "this" {
  for_each = toset(local.subjects)

  application_id = azuread_application.this.id
  display_name   = replace(each.value, "/[^A-Za-z0-9_-]/", "-")
  description    = "Writ: ${each.value}"
  issuer         = var.issuer_url
  subject        = each.value
  audiences      = [local.audience]
}

resource "azurerm_role_assignment" "this" {
  for_each = var.role_assignments

  scope                            = each.value.scope
  role_definition_name             = each.value.role
  principal_id                     = azuread_service_principal.this.object_id
  principal_type                   = "ServicePrincipal"
  skip_service_principal_aad_check = true
}
