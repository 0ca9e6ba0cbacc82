# All modules: targets with and without a role on the project, a database, clusters, and a job of GitHub's that goes to Google
# without Writ.

terraform {
  required_version = ">= 1.7.0, < 2.0.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0.0, < 8.0.0"
    }
  }
}

provider "google" {
  project = local.project_id
}

locals {
  project_id = "writ-example"
  ledger     = "workload:0123456789abcdef0123456789abcdef"
}

module "pool" {
  source = "../../modules/workload-identity-pool"

  project_id        = local.project_id
  project_number    = "123456789012"
  issuer_url        = "https://issuer.example/writ"
  targets           = ["reports", "orders", "cluster", "edge"]
  workload_subjects = [local.ledger]
}

module "reports" {
  source = "../../modules/service-account"

  project_id = local.project_id
  target     = "reports"
  pool       = module.pool.pool
  lifetime   = 900
  scopes     = ["https://www.googleapis.com/auth/devstorage.read_only"]

  project_roles = [{
    role = "roles/storage.objectViewer"
    condition = {
      title      = "reports"
      expression = "resource.name.startsWith('projects/_/buckets/reports/')"
    }
  }]
}

# One workload of a target, by its own subject: `writ issuer subject ISSUER SUBJECT` prints it.
module "ledger" {
  source = "../../modules/service-account"

  project_id        = local.project_id
  target            = "ledger"
  pool              = module.pool.pool
  workload_subjects = [local.ledger]
  host              = "bigquery.googleapis.com"
}

module "orders" {
  source = "../../modules/cloudsql"

  project_id     = local.project_id
  target         = "orders"
  pool           = module.pool.pool
  instance       = "orders"
  host           = "orders.example.sql.goog"
  database_roles = ["readers"]
}

module "cluster" {
  source = "../../modules/gke"

  project_id    = local.project_id
  target        = "cluster"
  pool          = module.pool.pool
  host          = "10.0.0.2"
  role_bindings = { reports = [{ name = "view" }] }
}

module "edge" {
  source = "../../modules/gke"

  project_id    = local.project_id
  target        = "edge"
  account_id    = "writ-edge-cluster"
  pool          = module.pool.pool
  host          = "gke-0123456789abcdef-123456789012.europe-west1.gke.goog"
  dns_endpoint  = true
  role_bindings = { edge = [{ kind = "Role", name = "deployer" }] }
}

module "deploy" {
  source = "../../modules/github-actions"

  project_id     = local.project_id
  project_number = "123456789012"
  pool_id        = "deploy"
  account_id     = "deploy"
  repository     = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "74" }
  environment    = "production"
  project_roles  = [{ role = "roles/run.developer" }]

  job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"
}

output "writ" {
  description = "What belongs into Writ's configuration."
  value = join("\n\n", [
    module.pool.writ_issues, module.reports.writ_target, module.ledger.writ_target, module.orders.writ_target,
    module.cluster.writ_target, module.edge.writ_target,
  ])
}

output "sql" {
  description = "What an admin of the database runs."
  value       = module.orders.sql
}

output "rbac" {
  description = "What an admin of the clusters applies."
  value       = { cluster = module.cluster.rbac, edge = module.edge.rbac }
}
