data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  host = trimprefix(var.issuer_url, "https://")

  # Written out and not read from the provider, so that a plan shows the trust in full.
  arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:oidc-provider/${local.host}"
}

resource "aws_iam_openid_connect_provider" "this" {
  url             = var.issuer_url
  client_id_list  = var.audiences
  thumbprint_list = length(var.thumbprints) == 0 ? null : var.thumbprints
  tags            = var.tags
}
