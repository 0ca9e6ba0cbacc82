# One project that trusts Writ's issuer, and one target in it.

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
  project = "writ-example"
}

module "pool" {
  source = "../../modules/workload-identity-pool"

  project_id     = "writ-example"
  project_number = "123456789012"
  issuer_url     = "https://issuer.example/writ"
  targets        = ["reports"]
}

module "reports" {
  source = "../../modules/service-account"

  project_id = "writ-example"
  target     = "reports"
  pool       = module.pool.pool
}

# Rights on one bucket, not on the project.
resource "google_storage_bucket_iam_member" "reports" {
  bucket = "reports"
  role   = "roles/storage.objectViewer"
  member = module.reports.member
}

output "writ" {
  description = "What belongs into Writ's configuration."
  value       = join("\n\n", [module.pool.writ_issues, module.reports.writ_target])
}
