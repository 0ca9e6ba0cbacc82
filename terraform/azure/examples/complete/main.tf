# All modules: the management API, databases, a cluster, and a job of GitHub's that goes to Azure without Writ.

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

  tenant_id        = local.tenant_id
  issuer_url       = local.issuer_url
  target           = "reports"
  role_assignments = { reports = { role = "Reader", scope = local.resource_group } }
}

# One workload of a target, by its own subject: `writ issuer subject ISSUER SUBJECT` prints it.
module "ledger" {
  source = "../../modules/federated-app"

  tenant_id         = local.tenant_id
  issuer_url        = local.issuer_url
  target            = "ledger"
  workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
  resource          = "key_vault"
  host              = "ledger.vault.azure.net"

  role_assignments = {
    ledger = {
      role  = "Key Vault Crypto User"
      scope = "${local.resource_group}/providers/Microsoft.KeyVault/vaults/ledger"
    }
  }
}

module "sales" {
  source = "../../modules/azure-sql"

  tenant_id      = local.tenant_id
  issuer_url     = local.issuer_url
  target         = "sales"
  host           = "sales.database.windows.net"
  database_roles = ["db_datareader"]
}

module "orders" {
  source = "../../modules/postgres"

  tenant_id      = local.tenant_id
  issuer_url     = local.issuer_url
  target         = "orders"
  host           = "orders.postgres.database.azure.com"
  database_roles = ["readers"]
}

module "cluster" {
  source = "../../modules/aks"

  tenant_id        = local.tenant_id
  issuer_url       = local.issuer_url
  target           = "cluster"
  host             = "prod-0123abcd.hcp.westeurope.azmk8s.io"
  service_accounts = ["viewer", "deployer"]
}

module "deploy" {
  source = "../../modules/github-actions"

  name             = "deploy"
  repository       = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "74" }
  environment      = "production"
  job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"
  role_assignments = { site = { role = "Website Contributor", scope = local.resource_group } }
}

output "writ" {
  description = "What belongs into Writ's configuration."
  value = join("\n\n", [
    module.reports.writ_issues, module.reports.writ_target, module.ledger.writ_target, module.sales.writ_target,
    module.orders.writ_target, module.cluster.writ_target,
  ])
}

output "rbac" {
  description = "What an admin of the cluster applies."
  value       = module.cluster.rbac
}

output "sql" {
  description = "What admins of the databases run."
  value       = { sales = module.sales.sql, orders = module.orders.sql }
}
