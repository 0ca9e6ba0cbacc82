# The application has no rights at Azure; what sessions may do is the database's to say.
module "app" {
  source = "../federated-app"

  tenant_id         = var.tenant_id
  issuer_url        = var.issuer_url
  target            = var.target
  workload_subjects = var.workload_subjects
  name              = var.name
  cloud             = var.cloud
  owners            = var.owners
  resource          = "sql"
}
