mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/example" }
  }
}

variables {
  target     = "reports"
  region     = "eu-west-1"
  issuer     = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports/*"] }]
}

run "trusts_the_target_and_no_other" {
  command = plan

  assert {
    condition     = jsondecode(output.trust_policy) == { Version = "2012-10-17", Statement = [{ Sid = "WritsIssuer", Effect = "Allow", Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ" }, Action = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"], Condition = { StringEquals = { "issuer.example/writ:aud" = "sts.amazonaws.com", "issuer.example/writ:sub" = ["target:reports"] } } }] }
    error_message = "the trust is another"
  }

  assert {
    condition     = aws_iam_role.this.name == "writ-reports" && aws_iam_role.this.max_session_duration == 3600
    error_message = "another name or duration"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this[0].policy) == { Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::reports/*"] }] }
    error_message = "the permissions are others"
  }

  assert {
    condition     = length(output.broker_statements) == 0
    error_message = "a broker is let in"
  }
}

run "writes_the_target" {
  command = apply

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"reports\"\nprotocol = \"aws\"\nhost = \"sts.eu-west-1.amazonaws.com\"\n\n[broker.target.provider.aws]\nregion = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::123456789012:role/example\"\ndefault_scope = \"default\"\n\n[[broker.target.provider.aws.scopes.default]]\nactions = [\"s3:GetObject\"]\nresources = [\"arn:aws:s3:::reports/*\"]"
    error_message = "the configuration is another"
  }
}

run "writes_what_differs_from_the_defaults" {
  command = apply

  variables {
    issuer               = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "writ-prod" }
    workload_subjects    = ["workload:0123456789abcdef0123456789abcdef"]
    max_session_duration = 7200
    additional_roles     = { writer = "arn:aws:iam::123456789012:role/w" }
    scopes               = { read = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports/*"] }] }
    default_scope        = "read"
  }

  assert {
    condition     = strcontains(output.writ_target, "assume = { audience = \"writ-prod\", subject = \"workload\", max_duration_seconds = 7200 }")
    error_message = "assume is another"
  }

  assert {
    condition     = strcontains(output.writ_target, "roles = { writer = \"arn:aws:iam::123456789012:role/w\" }\ndefault_scope = \"read\"")
    error_message = "roles are others"
  }
}

run "knows_chinas_endpoints" {
  command = apply

  variables {
    region = "cn-north-1"
    issuer = { url = "https://issuer.example/writ", arn = "arn:aws-cn:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  }

  assert {
    condition     = strcontains(output.writ_target, "host = \"sts.cn-north-1.amazonaws.com.cn\"")
    error_message = "another host"
  }
}

run "trusts_workloads_instead" {
  command = plan

  variables {
    workload_subjects = ["workload:ffffffffffffffffffffffffffffffff", "workload:0123456789abcdef0123456789abcdef"]
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0].Condition.StringEquals["issuer.example/writ:sub"] == ["workload:0123456789abcdef0123456789abcdef", "workload:ffffffffffffffffffffffffffffffff"]
    error_message = "others are trusted"
  }
}

run "trusts_a_broker_with_its_external_id" {
  command = plan

  variables {
    issuer = null
    broker = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-prod" }
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0] == { Sid = "WritsBroker", Effect = "Allow", Principal = { AWS = "arn:aws:iam::111122223333:role/writ-broker" }, Action = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], Condition = { StringEquals = { "sts:ExternalId" = "writ-prod" } } }
    error_message = "the trust is another"
  }
}

run "needs_no_permissions" {
  command = plan

  variables {
    statements = []
  }

  assert {
    condition     = length(aws_iam_role_policy.this) == 0
    error_message = "it has some"
  }
}

run "lets_statements_have_conditions" {
  command = plan

  variables {
    statements = [{ actions = ["s3:ListBucket"], resources = ["arn:aws:s3:::reports"], conditions = { StringLike = { "s3:prefix" = ["published/*"] } } }]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this[0].policy).Statement[0].Condition == { StringLike = { "s3:prefix" = ["published/*"] } }
    error_message = "the condition is lost"
  }
}

run "lets_actions_without_resources_say_so" {
  command = plan

  variables {
    statements = [{ actions = ["s3:ListAllMyBuckets"], resources = ["*"], any_resource = true }]
  }

  assert {
    condition     = length(aws_iam_role_policy.this) == 1
    error_message = "it has none"
  }
}

run "refuses_nobody_to_trust" {
  command = plan

  variables {
    issuer = null
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_two_to_trust" {
  command = plan

  variables {
    broker = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-prod" }
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_a_broker_with_subjects" {
  command = plan

  variables {
    issuer            = null
    broker            = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-prod" }
    workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_a_broker_with_longer_sessions" {
  command = plan

  variables {
    issuer               = null
    broker               = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-prod" }
    max_session_duration = 7200
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_a_name_that_became_too_long" {
  command = plan

  variables {
    target = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_policies_without_scopes" {
  command = plan

  variables {
    policy_arns = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_a_default_scope_that_is_not_there" {
  command = plan

  variables {
    scopes        = { read = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports/*"] }] }
    default_scope = "write"
  }

  expect_failures = [aws_iam_role.this]
}

run "refuses_any_target" {
  command = plan

  variables {
    target = "*"
  }

  expect_failures = [var.target]
}

run "refuses_targets_with_a_wildcard" {
  command = plan

  variables {
    target = "reports-*"
  }

  expect_failures = [var.target]
}

run "refuses_a_target_in_upper_case" {
  command = plan

  variables {
    target = "Reports"
  }

  expect_failures = [var.target]
}

run "refuses_no_target" {
  command = plan

  variables {
    target = ""
  }

  expect_failures = [var.target]
}

run "refuses_a_target_with_a_slash" {
  command = plan

  variables {
    target = "a/b"
  }

  expect_failures = [var.target]
}

run "refuses_a_target_with_a_colon" {
  command = plan

  variables {
    target = "target:reports"
  }

  expect_failures = [var.target]
}

run "refuses_a_target_that_is_too_long" {
  command = plan

  variables {
    target = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.target]
}

run "refuses_an_issuer_over_http" {
  command = plan

  variables {
    issuer = { url = "http://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  }

  expect_failures = [var.issuer]
}

run "refuses_an_issuer_with_a_trailing_slash" {
  command = plan

  variables {
    issuer = { url = "https://issuer.example/writ/", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  }

  expect_failures = [var.issuer]
}

run "refuses_an_issuer_with_a_wildcard" {
  command = plan

  variables {
    issuer = { url = "https://issuer.example/*", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  }

  expect_failures = [var.issuer]
}

run "refuses_the_arn_of_another_issuer" {
  command = plan

  variables {
    issuer = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/other.example/writ", audience = "sts.amazonaws.com" }
  }

  expect_failures = [var.issuer]
}

run "refuses_the_arn_of_something_else" {
  command = plan

  variables {
    issuer = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:role/issuer.example/writ", audience = "sts.amazonaws.com" }
  }

  expect_failures = [var.issuer]
}

run "refuses_no_audience" {
  command = plan

  variables {
    issuer = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "" }
  }

  expect_failures = [var.issuer]
}

run "refuses_any_audience" {
  command = plan

  variables {
    issuer = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "*" }
  }

  expect_failures = [var.issuer]
}

run "refuses_a_name_with_a_wildcard" {
  command = plan

  variables {
    name = "writ-*"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_with_a_slash" {
  command = plan

  variables {
    name = "a/b"
  }

  expect_failures = [var.name]
}

run "refuses_any_workload" {
  command = plan

  variables {
    workload_subjects = ["workload:*"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_a_targets_subject_among_workloads" {
  command = plan

  variables {
    workload_subjects = ["target:reports"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_a_workload_that_is_too_short" {
  command = plan

  variables {
    workload_subjects = ["workload:0123"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_a_repositorys_subject" {
  command = plan

  variables {
    workload_subjects = ["repo:octo-org/octo-repo:ref:refs/heads/main"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_too_many_workloads" {
  command = plan

  variables {
    workload_subjects = ["workload:00000000000000000000000000000000", "workload:00000000000000000000000000000001", "workload:00000000000000000000000000000002", "workload:00000000000000000000000000000003", "workload:00000000000000000000000000000004", "workload:00000000000000000000000000000005", "workload:00000000000000000000000000000006", "workload:00000000000000000000000000000007", "workload:00000000000000000000000000000008", "workload:00000000000000000000000000000009", "workload:0000000000000000000000000000000a", "workload:0000000000000000000000000000000b", "workload:0000000000000000000000000000000c", "workload:0000000000000000000000000000000d", "workload:0000000000000000000000000000000e", "workload:0000000000000000000000000000000f", "workload:00000000000000000000000000000010", "workload:00000000000000000000000000000011", "workload:00000000000000000000000000000012", "workload:00000000000000000000000000000013", "workload:00000000000000000000000000000014", "workload:00000000000000000000000000000015", "workload:00000000000000000000000000000016", "workload:00000000000000000000000000000017", "workload:00000000000000000000000000000018", "workload:00000000000000000000000000000019"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_an_account_as_broker" {
  command = plan

  variables {
    broker = { role_arn = "arn:aws:iam::111122223333:root", external_id = "writ-prod" }
  }

  expect_failures = [var.broker]
}

run "refuses_any_role_as_broker" {
  command = plan

  variables {
    broker = { role_arn = "arn:aws:iam::111122223333:role/*", external_id = "writ-prod" }
  }

  expect_failures = [var.broker]
}

run "refuses_everybody_as_broker" {
  command = plan

  variables {
    broker = { role_arn = "*", external_id = "writ-prod" }
  }

  expect_failures = [var.broker]
}

run "refuses_a_session_as_broker" {
  command = plan

  variables {
    broker = { role_arn = "arn:aws:sts::111122223333:assumed-role/writ-broker/x", external_id = "writ-prod" }
  }

  expect_failures = [var.broker]
}

run "refuses_no_external_id" {
  command = plan

  variables {
    broker = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "" }
  }

  expect_failures = [var.broker]
}

run "refuses_any_external_id" {
  command = plan

  variables {
    broker = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-*" }
  }

  expect_failures = [var.broker]
}

run "refuses_every_action" {
  command = plan

  variables {
    statements = [{ actions = ["*"], resources = ["arn:aws:s3:::reports"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_every_action_of_every_service" {
  command = plan

  variables {
    statements = [{ actions = ["*:*"], resources = ["arn:aws:s3:::reports"] }]
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

run "refuses_all_of_sts" {
  command = plan

  variables {
    statements = [{ actions = ["sts:*"], resources = ["arn:aws:iam::123456789012:role/x"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_every_resource" {
  command = plan

  variables {
    statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_a_resource_that_is_no_arn" {
  command = plan

  variables {
    statements = [{ actions = ["s3:GetObject"], resources = ["reports/*"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_a_statement_without_actions" {
  command = plan

  variables {
    statements = [{ actions = [], resources = ["arn:aws:s3:::reports"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_a_statement_without_resources" {
  command = plan

  variables {
    statements = [{ actions = ["s3:GetObject"], resources = [] }]
  }

  expect_failures = [var.statements]
}

run "refuses_an_action_without_a_service" {
  command = plan

  variables {
    statements = [{ actions = ["GetObject"], resources = ["arn:aws:s3:::reports"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_administrator_access" {
  command = plan

  variables {
    policy_arns = ["arn:aws:iam::aws:policy/AdministratorAccess"]
  }

  expect_failures = [var.policy_arns]
}

run "refuses_all_of_iam_by_a_policy" {
  command = plan

  variables {
    policy_arns = ["arn:aws:iam::aws:policy/IAMFullAccess"]
  }

  expect_failures = [var.policy_arns]
}

run "refuses_a_policys_name" {
  command = plan

  variables {
    policy_arns = ["AmazonS3ReadOnlyAccess"]
  }

  expect_failures = [var.policy_arns]
}

run "refuses_a_boundary_that_is_no_policy" {
  command = plan

  variables {
    permissions_boundary = "arn:aws:iam::123456789012:role/x"
  }

  expect_failures = [var.permissions_boundary]
}

run "refuses_sessions_over_the_limit" {
  command = plan

  variables {
    max_session_duration = 43201
  }

  expect_failures = [var.max_session_duration]
}

run "refuses_sessions_that_iam_cannot_bound" {
  command = plan

  variables {
    max_session_duration = 900
  }

  expect_failures = [var.max_session_duration]
}

run "refuses_half_seconds" {
  command = plan

  variables {
    max_session_duration = 3600.5
  }

  expect_failures = [var.max_session_duration]
}

run "refuses_no_region" {
  command = plan

  variables {
    region = ""
  }

  expect_failures = [var.region]
}

run "refuses_the_global_sts" {
  command = plan

  variables {
    region = "aws-global"
  }

  expect_failures = [var.region]
}

run "refuses_any_region" {
  command = plan

  variables {
    region = "*"
  }

  expect_failures = [var.region]
}

run "refuses_a_roles_name_with_a_blank" {
  command = plan

  variables {
    additional_roles = { "the writer" = "arn:aws:iam::123456789012:role/w" }
  }

  expect_failures = [var.additional_roles]
}

run "refuses_an_empty_scope" {
  command = plan

  variables {
    scopes = { read = [] }
  }

  expect_failures = [var.scopes]
}

run "refuses_a_scopes_name_with_a_dot" {
  command = plan

  variables {
    scopes = { "a.b" = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports/*"] }] }
  }

  expect_failures = [var.scopes]
}

run "refuses_a_path_without_slashes" {
  command = plan

  variables {
    path = "writ"
  }

  expect_failures = [var.path]
}
