# One application that trusts one target of Writ's, and what it may read.

terraform {
  required_version = ">= 1.7.0, < 2.0.0"

  required_providers {
    azuread = {
      source  = "hashicorp/azuread"
      version = ">= 3.0.0, < 4.0.0"
    }

    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.0.0, < 5.0.0"
    }
  }
}

provider "azuread" {
  tenant_id = local.tenant_id
}

provider "azurerm" {
  features {}

  subscription_id = local.subscription_id
}

locals {
  tenant_id       = "11111111-1111-1111-1111-111111111111"
  subscription_id = "22222222-2222-2222-2222-222222222222"
  resource_group  = "/subscriptions/${local.subscription_id}/resourceGroups/reports"
  issuer_url      = "https://issuer.example/writ"
}

module "reports" {
  source = "../../modules/federated-app"

  tenant_id  = local.tenant_id
  issuer_url = local.issuer_url
  target     = "reports"
  resource   = "storage"
  host       = "reports.blob.core.windows.net"

  role_assignments = {
    reports = {
      role  = "Storage Blob Data Reader"
      scope = "${local.resource_group}/providers/Microsoft.Storage/storageAccounts/reports"
    }
  }
}

output "writ" {
  description = "What belongs into Writ's configuration."
  value       = join("\n\n", [module.reports.writ_issues, module.reports.writ_target])
}
