locals {
  audience = {
    public        = "api://AzureADTokenExchange"
    us_government = "api://AzureADTokenExchangeUSGov"
    china         = "api://AzureADTokenExchangeChina"
  }[var.cloud]

  repository = var.subject_format == "name" ? "${var.repository.owner}/${var.repository.name}" : "${var.repository.owner}@${var.repository.owner_id}/${var.repository.name}@${var.repository.id}"
  context = (
    var.environment != null ? "environment:${coalesce(var.environment, "-")}" :
    var.branch != null ? "ref:refs/heads/${coalesce(var.branch, "-")}" : "ref:refs/tags/${coalesce(var.tag, "-")}"
  )
  workflow = var.job_workflow_ref == null ? "" : ":job_workflow_ref:${coalesce(var.job_workflow_ref, "-")}"
  subject  = "repo:${local.repository}:${local.context}${local.workflow}"
}

# No password and no certificate: whoever is the application shows the job's token.
resource "azuread_application" "this" {
  display_name            = var.name
  description             = "Jobs of ${var.repository.owner}/${var.repository.name} on GitHub Actions"
  sign_in_audience        = "AzureADMyOrg"
  prevent_duplicate_names = true
  owners                  = var.owners

  lifecycle {
    precondition {
      condition     = length([for one in [var.environment, var.branch, var.tag] : one if one != null]) == 1
      error_message = "Exactly one of environment, branch and tag must be written: it is what the job's subject ends in. Prefer environment."
    }

    precondition {
      condition     = var.subject_format == "immutable" || var.accept_recyclable_name
      error_message = "subject_format is name: whoever gets the repository's name gets in, and Entra looks at no other claim. Let GitHub write numbers into the repository's subjects, or write accept_recyclable_name = true."
    }
  }
}

resource "azuread_service_principal" "this" {
  client_id                    = azuread_application.this.client_id
  app_role_assignment_required = true
  owners                       = var.owners
}

resource "azuread_application_federated_identity_credential" "this" {
  application_id = azuread_application.this.id
  display_name   = "github-actions"
  description    = "GitHub Actions: ${local.subject}"
  issuer         = var.issuer_url
  subject        = local.subject
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
