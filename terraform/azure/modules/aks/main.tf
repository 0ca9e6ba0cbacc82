# The broker's own way into the cluster. The application has no rights at Azure; what it may do is the cluster's RBAC to say.
module "app" {
  source = "../federated-app"

  tenant_id  = var.tenant_id
  issuer_url = var.issuer_url
  target     = var.target
  name       = var.name
  cloud      = var.cloud
  owners     = var.owners
  resource   = "aks"
}

locals {
  metadata = { name = "writ-broker", namespace = var.namespace }

  # What the provider `kubernetes` needs, and nothing else.
  role = {
    apiVersion = "rbac.authorization.k8s.io/v1"
    kind       = "Role"
    metadata   = local.metadata
    rules = [
      { apiGroups = [""], resources = ["secrets"], verbs = ["create", "list", "delete"] },
      { apiGroups = [""], resources = ["serviceaccounts/token"], verbs = ["create"], resourceNames = var.service_accounts },
    ]
  }

  binding = {
    apiVersion = "rbac.authorization.k8s.io/v1"
    kind       = "RoleBinding"
    metadata   = local.metadata
    roleRef    = { apiGroup = "rbac.authorization.k8s.io", kind = "Role", name = local.metadata.name }
    subjects   = [{ apiGroup = "rbac.authorization.k8s.io", kind = "User", name = module.app.object_id }]
  }
}
