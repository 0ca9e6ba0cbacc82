data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = coalesce(var.account_id, data.aws_caller_identity.current.account_id)
  users      = distinct(concat([var.user], values(var.users)))
}

# The role may log in as these users and do nothing else.
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

  statements = [{
    actions = ["rds-db:connect"]
    resources = [
      for user in local.users :
      "arn:${data.aws_partition.current.partition}:rds-db:${var.region}:${local.account_id}:dbuser:${var.resource_id}/${user}"
    ]
  }]
}
