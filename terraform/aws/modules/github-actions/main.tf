data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  host         = trimprefix(var.issuer_url, "https://")
  provider_arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:oidc-provider/${local.host}"

  repository = var.subject_format == "name" ? "${var.repository.owner}/${var.repository.name}" : "${var.repository.owner}@${var.repository.owner_id}/${var.repository.name}@${var.repository.id}"
  context = (
    var.environment != null ? "environment:${coalesce(var.environment, "-")}" :
    var.branch != null ? "ref:refs/heads/${coalesce(var.branch, "-")}" : "ref:refs/tags/${coalesce(var.tag, "-")}"
  )
  workflow = var.job_workflow_ref == null ? "" : ":job_workflow_ref:${coalesce(var.job_workflow_ref, "-")}"
  subject  = "repo:${local.repository}:${local.context}${local.workflow}"

  # A subject without numbers says nothing of who owns the name today: then the repository's number is asked for besides.
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "GitHubActions"
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = {
        StringEquals = merge(
          {
            "${local.host}:aud" = var.audience
            "${local.host}:sub" = local.subject
          },
          var.subject_format == "name" ? { "${local.host}:repository_id" = var.repository.id } : {},
        )
      }
    }]
  })
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.create_provider ? 1 : 0

  url            = var.issuer_url
  client_id_list = [var.audience]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  name                 = var.name
  path                 = var.path
  description          = "Jobs of ${var.repository.owner}/${var.repository.name} on GitHub Actions"
  assume_role_policy   = local.trust
  max_session_duration = var.max_session_duration
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # AWS knows claims besides `aud` and `sub` of GitHub's own issuer alone.
  lifecycle {
    precondition {
      condition     = length([for one in [var.environment, var.branch, var.tag] : one if one != null]) == 1
      error_message = "Exactly one of environment, branch and tag must be written: it is what the job's subject ends in. Prefer environment."
    }

    precondition {
      condition     = var.subject_format == "immutable" || var.issuer_url == "https://token.actions.githubusercontent.com"
      error_message = "subject_format must be immutable with an issuer_url of your own: AWS looks at a repository's number in a claim for GitHub's own issuer alone."
    }
  }

  depends_on = [aws_iam_openid_connect_provider.this]
}

resource "aws_iam_role_policy" "this" {
  count = length(var.statements) == 0 ? 0 : 1

  name = "writ"
  role = aws_iam_role.this.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for one in var.statements : merge(
      { Effect = "Allow", Action = one.actions, Resource = one.resources },
      length(one.conditions) == 0 ? {} : { Condition = one.conditions },
    )]
  })
}
