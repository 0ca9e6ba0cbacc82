# All modules: two roles of one target with scopes, a database, a cluster, a target for a broker that is a role itself, and a job
# of GitHub's that goes to AWS without Writ.

terraform {
  required_version = ">= 1.7.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81.0, < 7.0.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { managed-by = "terraform" }
  }
}

module "issuer_trust" {
  source = "../../modules/issuer-trust"

  issuer_url = "https://issuer.example/writ"
}

module "reports" {
  source = "../../modules/role"

  target = "reports"
  region = "eu-west-1"
  issuer = module.issuer_trust.issuer

  statements = [
    { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports/*"] },
    {
      actions    = ["s3:ListBucket"]
      resources  = ["arn:aws:s3:::reports"]
      conditions = { StringLike = { "s3:prefix" = ["published/*"] } }
    },
  ]

  additional_roles = { writer = module.reports_writer.arn }
  default_scope    = "read"
  scopes = {
    read = [
      { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports/*"] },
      {
        actions    = ["s3:ListBucket"]
        resources  = ["arn:aws:s3:::reports"]
        conditions = { StringLike = { "s3:prefix" = ["published/*"] } }
      },
    ]
    publish = [{ actions = ["s3:PutObject"], resources = ["arn:aws:s3:::reports/published/*"] }]
  }
}

module "reports_writer" {
  source = "../../modules/role"

  target               = "reports"
  name                 = "writ-reports-writer"
  region               = "eu-west-1"
  issuer               = module.issuer_trust.issuer
  max_session_duration = 7200
  statements           = [{ actions = ["s3:PutObject"], resources = ["arn:aws:s3:::reports/published/*"] }]
}

module "orders" {
  source = "../../modules/rds-user"

  target      = "orders"
  region      = "eu-west-1"
  issuer      = module.issuer_trust.issuer
  host        = "orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com"
  resource_id = "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  user        = "orders_reader"
  users       = { owner = "orders_owner" }
}

module "cluster" {
  source = "../../modules/eks"

  count = var.with_cluster ? 1 : 0

  target            = "cluster"
  region            = "eu-west-1"
  issuer            = module.issuer_trust.issuer
  cluster_name      = "prod"
  host              = "0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com"
  kubernetes_groups = ["readers"]
}

# One workload of a target, by its own subject: `writ issuer subject ISSUER SUBJECT` prints it.
module "ledger" {
  source = "../../modules/role"

  target            = "ledger"
  region            = "eu-west-1"
  issuer            = module.issuer_trust.issuer
  workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
  statements        = [{ actions = ["dynamodb:GetItem"], resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/ledger"] }]
}

module "archive" {
  source = "../../modules/role"

  target     = "archive"
  region     = "eu-west-1"
  broker     = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-prod" }
  statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::archive/*"] }]
}

module "deploy" {
  source = "../../modules/github-actions"

  name        = "deploy"
  repository  = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "74" }
  environment = "production"
  statements  = [{ actions = ["s3:PutObject"], resources = ["arn:aws:s3:::site/*"] }]

  job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"
}

variable "with_cluster" {
  description = "Whether to make the cluster's access entry."
  type        = bool
  default     = true
}

output "writ" {
  description = "What belongs into Writ's configuration."
  value = join("\n\n", concat(
    [module.issuer_trust.writ_issues, module.reports.writ_target, module.orders.writ_target],
    module.cluster[*].writ_target,
    [module.ledger.writ_target, module.archive.writ_target],
  ))
}

output "sql" {
  description = "What an admin of the database runs."
  value       = module.orders.sql
}
