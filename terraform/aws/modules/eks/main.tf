# The role needs no permission at AWS: what sessions may do is the cluster's to say.
module "role" {
  source = "../role"

  target               = var.target
  name                 = var.name
  issuer               = var.issuer
  workload_subjects    = var.workload_subjects
  broker               = var.broker
  region               = var.region
  path                 = var.path
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

# The user name is EKS's own, which ends in the session's name: the writ's id, in the cluster's audit log.
resource "aws_eks_access_entry" "this" {
  cluster_name      = var.cluster_name
  principal_arn     = module.role.arn
  kubernetes_groups = var.kubernetes_groups
  type              = "STANDARD"
  tags              = var.tags
}
