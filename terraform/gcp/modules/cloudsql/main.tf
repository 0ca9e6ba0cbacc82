locals {
  # Cloud SQL's name of the account: PostgreSQL's names are too short for the whole address.
  user = trimsuffix(module.account.email, ".gserviceaccount.com")
}

# The account may log in to this instance and do nothing else.
module "account" {
  source = "../service-account"

  project_id        = var.project_id
  target            = var.target
  pool              = var.pool
  workload_subjects = var.workload_subjects
  account_id        = var.account_id

  project_roles = [{
    role = "roles/cloudsql.instanceUser"
    condition = {
      title      = "writ-${var.target}"
      expression = "resource.type == 'sqladmin.googleapis.com/Instance' && resource.name == 'projects/${var.project_id}/instances/${var.instance}'"
    }
  }]
}

# No password: it logs in by a token.
resource "google_sql_user" "this" {
  project  = var.project_id
  instance = var.instance
  name     = local.user
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
}
