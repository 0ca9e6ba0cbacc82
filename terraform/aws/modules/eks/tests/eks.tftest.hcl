mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/example" }
  }
}

variables {
  target            = "cluster"
  region            = "eu-west-1"
  issuer            = { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
  cluster_name      = "prod"
  host              = "0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com"
  kubernetes_groups = ["readers"]
}

run "lets_sessions_into_the_cluster_and_into_nothing_else" {
  command = plan

  assert {
    condition     = module.role.permissions_policy == null
    error_message = "the role may do something at AWS"
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0].Condition.StringEquals == { "issuer.example/writ:aud" = "sts.amazonaws.com", "issuer.example/writ:sub" = ["target:cluster"] }
    error_message = "the trust is another"
  }

  assert {
    condition     = aws_eks_access_entry.this.type == "STANDARD" && aws_eks_access_entry.this.kubernetes_groups == toset(["readers"]) && aws_eks_access_entry.this.cluster_name == "prod"
    error_message = "the access entry is another"
  }
}

run "writes_the_target" {
  command = apply

  variables {
    additional_roles = { deployer = "arn:aws:iam::123456789012:role/d" }
  }

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"cluster\"\nprotocol = \"kubernetes\"\nhost = \"0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com\"\nca_file = \"/etc/writ/cluster.pem\"\n\n[broker.target.provider.eks]\nregion = \"eu-west-1\"\ncluster = \"prod\"\nrole_arn = \"arn:aws:iam::123456789012:role/example\"\nroles = { deployer = \"arn:aws:iam::123456789012:role/d\" }"
    error_message = "the configuration is another"
  }
}

run "refuses_no_group" {
  command = plan

  variables {
    kubernetes_groups = []
  }

  expect_failures = [var.kubernetes_groups]
}

run "refuses_masters" {
  command = plan

  variables {
    kubernetes_groups = ["system:masters"]
  }

  expect_failures = [var.kubernetes_groups]
}

run "refuses_a_group_of_ekss_own" {
  command = plan

  variables {
    kubernetes_groups = ["eks:admins"]
  }

  expect_failures = [var.kubernetes_groups]
}

run "refuses_any_group" {
  command = plan

  variables {
    kubernetes_groups = ["*"]
  }

  expect_failures = [var.kubernetes_groups]
}

run "refuses_any_cluster" {
  command = plan

  variables {
    cluster_name = "*"
  }

  expect_failures = [var.cluster_name]
}

run "refuses_no_cluster" {
  command = plan

  variables {
    cluster_name = ""
  }

  expect_failures = [var.cluster_name]
}

run "refuses_a_url" {
  command = plan

  variables {
    host = "https://0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com"
  }

  expect_failures = [var.host]
}

run "refuses_a_port_in_the_host" {
  command = plan

  variables {
    host = "a.b:443"
  }

  expect_failures = [var.host]
}

run "refuses_a_roles_name_with_a_blank" {
  command = plan

  variables {
    additional_roles = { "the deployer" = "arn:aws:iam::123456789012:role/d" }
  }

  expect_failures = [var.additional_roles]
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
