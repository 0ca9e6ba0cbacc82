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
  target      = "orders"
  region      = "eu-west-1"
  issuer      = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  host        = "orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com"
  resource_id = "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  user        = "orders_reader"
}

run "lets_sessions_log_in_as_these_users_alone" {
  command = plan

  variables {
    users = { owner = "orders_owner" }
  }

  assert {
    condition     = jsondecode(module.role.permissions_policy) == { Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["rds-db:connect"], Resource = ["arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ/orders_reader", "arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ/orders_owner"] }] }
    error_message = "the permissions are others"
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0].Condition.StringEquals["issuer.example/writ:sub"] == ["target:orders"]
    error_message = "another is trusted"
  }

  assert {
    condition     = output.sql == "CREATE USER \"orders_reader\";\nGRANT rds_iam TO \"orders_reader\";\nCREATE USER \"orders_owner\";\nGRANT rds_iam TO \"orders_owner\";"
    error_message = "the statements are others"
  }
}

run "writes_the_target" {
  command = apply

  variables {
    users = { owner = "orders_owner" }
  }

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"orders\"\nhost = \"orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com\"\nport = 5432\nca_file = \"/etc/writ/eu-west-1-bundle.pem\"\n\n[broker.target.provider.rds]\nregion = \"eu-west-1\"\nuser = \"orders_reader\"\nusers = { owner = \"orders_owner\" }\nresource_id = \"cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ\"\nrole_arn = \"arn:aws:iam::123456789012:role/example\""
    error_message = "the configuration is another"
  }
}

run "trusts_a_broker" {
  command = plan

  variables {
    issuer = null
    broker = { role_arn = "arn:aws:iam::111122223333:role/writ-broker", external_id = "writ-prod" }
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0].Action == ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    error_message = "the trust is another"
  }
}

run "takes_another_account" {
  command = plan

  variables {
    account_id = "210987654321"
  }

  assert {
    condition     = strcontains(module.role.permissions_policy, "rds-db:eu-west-1:210987654321:dbuser:")
    error_message = "the permissions are others"
  }
}

run "refuses_any_user" {
  command = plan

  variables {
    user = "*"
  }

  expect_failures = [var.user]
}

run "refuses_users_with_a_wildcard" {
  command = plan

  variables {
    user = "orders_*"
  }

  expect_failures = [var.user]
}

run "refuses_no_user" {
  command = plan

  variables {
    user = ""
  }

  expect_failures = [var.user]
}

run "refuses_rdsadmin" {
  command = plan

  variables {
    user = "rdsadmin"
  }

  expect_failures = [var.user]
}

run "refuses_the_servers_first_user" {
  command = plan

  variables {
    user = "postgres"
  }

  expect_failures = [var.user]
}

run "refuses_a_user_with_a_slash" {
  command = plan

  variables {
    user = "a/b"
  }

  expect_failures = [var.user]
}

run "refuses_a_user_with_a_quote" {
  command = plan

  variables {
    user = "a\"b"
  }

  expect_failures = [var.user]
}

run "refuses_any_user_among_others" {
  command = plan

  variables {
    users = { owner = "*" }
  }

  expect_failures = [var.users]
}

run "refuses_rdsadmin_among_others" {
  command = plan

  variables {
    users = { owner = "rdsadmin" }
  }

  expect_failures = [var.users]
}

run "refuses_a_name_with_a_blank" {
  command = plan

  variables {
    users = { "the owner" = "orders_owner" }
  }

  expect_failures = [var.users]
}

run "refuses_any_database" {
  command = plan

  variables {
    resource_id = "*"
  }

  expect_failures = [var.resource_id]
}

run "refuses_databases_with_a_wildcard" {
  command = plan

  variables {
    resource_id = "db-*"
  }

  expect_failures = [var.resource_id]
}

run "refuses_a_databases_name" {
  command = plan

  variables {
    resource_id = "orders"
  }

  expect_failures = [var.resource_id]
}

run "refuses_an_arn" {
  command = plan

  variables {
    resource_id = "arn:aws:rds:eu-west-1:123456789012:db:orders"
  }

  expect_failures = [var.resource_id]
}

run "refuses_an_alias" {
  command = plan

  variables {
    host = "orders.example.com"
  }

  expect_failures = [var.host]
}

run "refuses_a_port_in_the_host" {
  command = plan

  variables {
    host = "orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com:5432"
  }

  expect_failures = [var.host]
}

run "refuses_an_address" {
  command = plan

  variables {
    host = "10.0.0.1"
  }

  expect_failures = [var.host]
}

run "refuses_port_0" {
  command = plan

  variables {
    port = 0
  }

  expect_failures = [var.port]
}

run "refuses_an_account_by_name" {
  command = plan

  variables {
    account_id = "prod"
  }

  expect_failures = [var.account_id]
}

run "refuses_a_relative_path" {
  command = plan

  variables {
    ca_file = "bundle.pem"
  }

  expect_failures = [var.ca_file]
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

run "refuses_an_issuer_over_http" {
  command = plan

  variables {
    issuer = { url = "http://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
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
