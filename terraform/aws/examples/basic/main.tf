# One account that trusts Writ's issuer, and one target in it.

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
    { actions = ["s3:ListBucket"], resources = ["arn:aws:s3:::reports"] },
  ]
}

output "writ" {
  description = "What belongs into Writ's configuration."
  value       = join("\n\n", [module.issuer_trust.writ_issues, module.reports.writ_target])
}
