mock_provider "azuread" {
  mock_resource "azuread_application" {
    defaults = {
      id        = "/applications/44444444-4444-4444-4444-444444444444"
      client_id = "33333333-3333-3333-3333-333333333333"
    }
  }

  mock_resource "azuread_service_principal" {
    defaults = { object_id = "55555555-5555-5555-5555-555555555555" }
  }
}

mock_provider "azurerm" {}

variables {
  tenant_id        = "11111111-1111-1111-1111-111111111111"
  issuer_url       = "https://issuer.example/writ"
  target           = "cluster"
  host             = "prod-0123abcd.hcp.westeurope.azmk8s.io"
  service_accounts = ["viewer", "deployer"]
}

run "lets_the_broker_in_by_its_issuer" {
  command = plan

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "target:cluster", audiences = tolist(["api://AzureADTokenExchange"]) }]
    error_message = "others are trusted"
  }

  assert {
    condition     = length(module.app.role_assignments) == 0
    error_message = "it has rights at Azure"
  }
}

run "gives_the_broker_what_it_needs_in_one_namespace" {
  command = apply

  assert {
    condition     = yamldecode(split("---\n", output.rbac)[0]).metadata.namespace == "writ-access"
    error_message = "another namespace"
  }

  assert {
    condition     = jsonencode(yamldecode(split("---\n", output.rbac)[0]).rules) == jsonencode([{ apiGroups = [""], resources = ["secrets"], verbs = ["create", "list", "delete"] }, { apiGroups = [""], resources = ["serviceaccounts/token"], verbs = ["create"], resourceNames = ["viewer", "deployer"] }])
    error_message = "the rights are others"
  }

  assert {
    condition     = yamldecode(split("---\n", output.rbac)[1]).subjects == [{ apiGroup = "rbac.authorization.k8s.io", kind = "User", name = "55555555-5555-5555-5555-555555555555" }]
    error_message = "another has them"
  }

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"cluster\"\nprotocol = \"kubernetes\"\nhost = \"prod-0123abcd.hcp.westeurope.azmk8s.io\"\nca_file = \"/etc/writ/cluster.pem\"\n\n[broker.target.provider.kubernetes]\nservice_account = \"writ-access/viewer\"\nservice_accounts = [\"writ-access/deployer\"]\n\n[broker.target.provider.kubernetes.aks]\ntenant_id = \"11111111-1111-1111-1111-111111111111\"\nclient_id = \"33333333-3333-3333-3333-333333333333\""
    error_message = "the configuration is another"
  }
}

run "refuses_no_account" {
  command = plan

  variables {
    service_accounts = []
  }

  expect_failures = [var.service_accounts]
}

run "refuses_any_account" {
  command = plan

  variables {
    service_accounts = ["*"]
  }

  expect_failures = [var.service_accounts]
}

run "refuses_an_account_with_its_namespace" {
  command = plan

  variables {
    service_accounts = ["a/b"]
  }

  expect_failures = [var.service_accounts]
}

run "refuses_the_default_account" {
  command = plan

  variables {
    service_accounts = ["default"]
  }

  expect_failures = [var.service_accounts]
}

run "refuses_any_namespace" {
  command = plan

  variables {
    namespace = "*"
  }

  expect_failures = [var.namespace]
}

run "refuses_the_clusters_own_namespaces" {
  command = plan

  variables {
    namespace = "kube-system"
  }

  expect_failures = [var.namespace]
}

run "refuses_the_default_namespace" {
  command = plan

  variables {
    namespace = "default"
  }

  expect_failures = [var.namespace]
}

run "refuses_a_url" {
  command = plan

  variables {
    host = "https://prod.hcp.westeurope.azmk8s.io"
  }

  expect_failures = [var.host]
}

run "refuses_a_relative_path" {
  command = plan

  variables {
    ca_file = "ca.pem"
  }

  expect_failures = [var.ca_file]
}

run "refuses_every_tenant" {
  command = plan

  variables {
    tenant_id = "common"
  }

  expect_failures = [var.tenant_id]
}

run "refuses_every_organization" {
  command = plan

  variables {
    tenant_id = "organizations"
  }

  expect_failures = [var.tenant_id]
}

run "refuses_http" {
  command = plan

  variables {
    issuer_url = "http://issuer.example/writ"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_no_scheme" {
  command = plan

  variables {
    issuer_url = "issuer.example"
  }

  expect_failures = [var.issuer_url]
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

run "refuses_a_target_with_a_colon" {
  command = plan

  variables {
    target = "target:reports"
  }

  expect_failures = [var.target]
}
