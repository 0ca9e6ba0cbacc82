# Rights in single namespaces, by Azure RBAC: none on the cluster as a whole, nor to fetch a kubeconfig.
module "app" {
  source = "../federated-app"

  tenant_id         = var.tenant_id
  issuer_url        = var.issuer_url
  target            = var.target
  workload_subjects = var.workload_subjects
  name              = var.name
  cloud             = var.cloud
  owners            = var.owners
  service           = "aks"

  role_assignments = { for namespace, role in var.namespaces : namespace => {
    role  = "Azure Kubernetes Service RBAC ${role}"
    scope = "${var.cluster_id}/namespaces/${namespace}"
  } }
}
