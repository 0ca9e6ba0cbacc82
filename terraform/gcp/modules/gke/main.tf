# What sessions may do is the cluster's RBAC to say.
module "account" {
  source = "../service-account"

  project_id        = var.project_id
  target            = var.target
  pool              = var.pool
  workload_subjects = var.workload_subjects
  account_id        = var.account_id
}

resource "google_project_iam_custom_role" "connect" {
  count = var.dns_endpoint ? 1 : 0

  project     = var.project_id
  role_id     = "writ.connect.${replace(split("@", module.account.email)[0], "-", "_")}"
  title       = "Writ: reach ${var.target}"
  description = "The DNS endpoints of clusters, and nothing else"
  permissions = ["container.clusters.connect"]
}

resource "google_project_iam_member" "connect" {
  count = var.dns_endpoint ? 1 : 0

  project = var.project_id
  role    = google_project_iam_custom_role.connect[0].name
  member  = "serviceAccount:${module.account.email}"
}
