locals {
  name     = coalesce(var.name, "writ-${var.target}")
  subjects = length(var.workload_subjects) == 0 ? ["target:${var.target}"] : sort(var.workload_subjects)
  actions  = ["sts:TagSession", "sts:SetSourceIdentity"]

  # Both audience and subject, compared as a whole: with one alone any target's assertion, or anybody's, would open the role.
  trust_of_issuer = var.issuer == null ? null : jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "WritsIssuer"
      Effect    = "Allow"
      Principal = { Federated = var.issuer.arn }
      Action    = concat(["sts:AssumeRoleWithWebIdentity"], local.actions)
      Condition = {
        StringEquals = {
          "${trimprefix(var.issuer.url, "https://")}:aud" = var.issuer.audience
          "${trimprefix(var.issuer.url, "https://")}:sub" = local.subjects
        }
      }
    }]
  })

  trust_of_broker = var.broker == null ? null : jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "WritsBroker"
      Effect    = "Allow"
      Principal = { AWS = var.broker.role_arn }
      Action    = concat(["sts:AssumeRole"], local.actions)
      Condition = { StringEquals = { "sts:ExternalId" = var.broker.external_id } }
    }]
  })

  permissions = jsonencode({
    Version = "2012-10-17"
    Statement = [for one in var.statements : merge(
      { Effect = "Allow", Action = one.actions, Resource = one.resources },
      length(one.conditions) == 0 ? {} : { Condition = one.conditions },
    )]
  })
}

resource "aws_iam_role" "this" {
  name                 = local.name
  path                 = var.path
  description          = "Sessions of the target ${var.target}, given out by Writ"
  assume_role_policy   = var.issuer != null ? local.trust_of_issuer : local.trust_of_broker
  max_session_duration = var.max_session_duration
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  lifecycle {
    precondition {
      condition     = (var.issuer == null) != (var.broker == null)
      error_message = "Exactly one of issuer and broker must be written: who is it that the role trusts? Prefer issuer = module.issuer_trust.issuer."
    }

    precondition {
      condition     = length(local.name) <= 64
      error_message = "The role's name ${local.name} is longer than the 64 characters that IAM takes. Write a shorter one as name."
    }

    precondition {
      condition     = var.broker == null || length(var.workload_subjects) == 0
      error_message = "workload_subjects go with issuer: AWS is shown no subject by a broker that assumes the role itself. Leave one of the two out."
    }

    precondition {
      condition     = var.broker == null || var.max_session_duration == 3600
      error_message = "max_session_duration must be 3600 with broker: AWS gives no longer session to who is a role itself. Use issuer for longer ones."
    }

    precondition {
      condition     = length(var.policy_arns) == 0 || length(var.scopes) > 0
      error_message = "scopes must be written where policy_arns are: a scope says which part of the role's permissions a session gets."
    }

    precondition {
      condition     = var.default_scope == null || contains(keys(var.scopes), coalesce(var.default_scope, "-"))
      error_message = "default_scope is no name in scopes."
    }
  }
}

resource "aws_iam_role_policy" "this" {
  count = length(var.statements) == 0 ? 0 : 1

  name   = "writ"
  role   = aws_iam_role.this.name
  policy = local.permissions
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset(var.policy_arns)

  role       = aws_iam_role.this.name
  policy_arn = each.value
}
