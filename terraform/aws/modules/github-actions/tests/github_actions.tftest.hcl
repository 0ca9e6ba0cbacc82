mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/example" }
  }
}

variables {
  name        = "deploy"
  repository  = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "74" }
  environment = "production"
  statements  = [{ actions = ["s3:PutObject"], resources = ["arn:aws:s3:::site/*"] }]
}

run "trusts_one_job_by_numbers" {
  command = plan

  assert {
    condition     = jsondecode(output.trust_policy) == { Version = "2012-10-17", Statement = [{ Sid = "GitHubActions", Effect = "Allow", Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }, Action = ["sts:AssumeRoleWithWebIdentity"], Condition = { StringEquals = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:octo-org@65/octo-repo@74:environment:production" } } }] }
    error_message = "the trust is another"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "it takes another audience"
  }
}

run "trusts_a_branch" {
  command = plan

  variables {
    environment = null
    branch      = "main"
  }

  assert {
    condition     = output.subject == "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"
    error_message = "another subject"
  }
}

run "trusts_a_tag" {
  command = plan

  variables {
    environment = null
    tag         = "v1.2.3"
  }

  assert {
    condition     = output.subject == "repo:octo-org@65/octo-repo@74:ref:refs/tags/v1.2.3"
    error_message = "another subject"
  }
}

run "trusts_one_workflow" {
  command = plan

  variables {
    job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"
  }

  assert {
    condition     = output.subject == "repo:octo-org@65/octo-repo@74:environment:production:job_workflow_ref:octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"
    error_message = "another subject"
  }
}

run "refuses_any_workflow" {
  command = plan

  variables {
    job_workflow_ref = "octo-org/octo-repo/.github/workflows/*@refs/heads/main"
  }

  expect_failures = [var.job_workflow_ref]
}

run "refuses_a_workflow_without_its_ref" {
  command = plan

  variables {
    job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml"
  }

  expect_failures = [var.job_workflow_ref]
}

run "asks_for_the_number_where_the_subject_has_none" {
  command = plan

  variables {
    subject_format = "name"
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0].Condition.StringEquals == { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:octo-org/octo-repo:environment:production", "token.actions.githubusercontent.com:repository_id" = "74" }
    error_message = "the trust is another"
  }
}

run "uses_a_provider_that_is_there" {
  command = plan

  variables {
    create_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0
    error_message = "another is made"
  }
}

run "refuses_a_job_of_any_kind" {
  command = plan

  variables {
    environment = null
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_two_kinds_of_job" {
  command = plan

  variables {
    branch = "main"
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_names_from_another_issuer" {
  command = plan

  variables {
    subject_format = "name"
    issuer_url     = "https://ghe.example.com/_services/token"
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_a_repository_without_a_number" {
  command = plan

  variables {
    repository = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "" }
  }

  expect_failures = [var.repository]
}

run "refuses_an_owner_without_a_number" {
  command = plan

  variables {
    repository = { owner = "octo-org", owner_id = "octo-org", name = "octo-repo", id = "74" }
  }

  expect_failures = [var.repository]
}

run "refuses_any_repository" {
  command = plan

  variables {
    repository = { owner = "octo-org", owner_id = "65", name = "*", id = "74" }
  }

  expect_failures = [var.repository]
}

run "refuses_any_owner" {
  command = plan

  variables {
    repository = { owner = "*", owner_id = "65", name = "octo-repo", id = "74" }
  }

  expect_failures = [var.repository]
}

run "refuses_a_repository_with_its_owner" {
  command = plan

  variables {
    repository = { owner = "octo-org", owner_id = "65", name = "octo-org/octo-repo", id = "74" }
  }

  expect_failures = [var.repository]
}

run "refuses_any_number" {
  command = plan

  variables {
    repository = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "*" }
  }

  expect_failures = [var.repository]
}

run "refuses_any_environment" {
  command = plan

  variables {
    environment = "*"
  }

  expect_failures = [var.environment]
}

run "refuses_environments_with_a_wildcard" {
  command = plan

  variables {
    environment = "prod*"
  }

  expect_failures = [var.environment]
}

run "refuses_an_environment_with_a_colon" {
  command = plan

  variables {
    environment = "a:b"
  }

  expect_failures = [var.environment]
}

run "refuses_any_branch" {
  command = plan

  variables {
    environment = null
    branch      = "*"
  }

  expect_failures = [var.branch]
}

run "refuses_branches_with_a_wildcard" {
  command = plan

  variables {
    environment = null
    branch      = "release/*"
  }

  expect_failures = [var.branch]
}

run "refuses_a_branch_with_refs" {
  command = plan

  variables {
    environment = null
    branch      = "refs/heads/main"
  }

  expect_failures = [var.branch]
}

run "refuses_any_tag" {
  command = plan

  variables {
    environment = null
    tag         = "v*"
  }

  expect_failures = [var.tag]
}

run "refuses_http" {
  command = plan

  variables {
    issuer_url = "http://token.actions.githubusercontent.com"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_a_trailing_slash" {
  command = plan

  variables {
    issuer_url = "https://token.actions.githubusercontent.com/"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_any_issuer" {
  command = plan

  variables {
    issuer_url = "https://*.example.com"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_a_format_that_is_not_known" {
  command = plan

  variables {
    subject_format = "any"
  }

  expect_failures = [var.subject_format]
}

run "refuses_any_audience" {
  command = plan

  variables {
    audience = "*"
  }

  expect_failures = [var.audience]
}

run "refuses_no_audience" {
  command = plan

  variables {
    audience = ""
  }

  expect_failures = [var.audience]
}

run "refuses_sessions_over_the_limit" {
  command = plan

  variables {
    max_session_duration = 43201
  }

  expect_failures = [var.max_session_duration]
}

run "refuses_every_action" {
  command = plan

  variables {
    statements = [{ actions = ["*"], resources = ["arn:aws:s3:::site/*"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_every_resource" {
  command = plan

  variables {
    statements = [{ actions = ["s3:PutObject"], resources = ["*"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_all_of_iam" {
  command = plan

  variables {
    statements = [{ actions = ["iam:*"], resources = ["arn:aws:iam::123456789012:role/x"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_a_name_with_a_wildcard" {
  command = plan

  variables {
    name = "deploy-*"
  }

  expect_failures = [var.name]
}
