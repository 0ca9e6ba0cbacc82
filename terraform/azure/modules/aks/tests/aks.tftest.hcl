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
  tenant_id  = "11111111-1111-1111-1111-111111111111"
  issuer_url = "https://issuer.example/writ"
  target     = "cluster"
  cluster_id = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports/providers/Microsoft.ContainerService/managedClusters/prod"
  host       = "prod-0123abcd.hcp.westeurope.azmk8s.io"
  namespaces = { reports = "Reader" }
}

run "lets_sessions_into_single_namespaces" {
  command = plan

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "target:cluster", audiences = tolist(["api://AzureADTokenExchange"]) }]
    error_message = "others are trusted"
  }

  assert {
    condition     = module.app.role_assignments == [{ role = "Azure Kubernetes Service RBAC Reader", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports/providers/Microsoft.ContainerService/managedClusters/prod/namespaces/reports" }]
    error_message = "the rights are others"
  }
}

run "writes_the_target" {
  command = apply

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"cluster\"\nprotocol = \"kubernetes\"\nhost = \"prod-0123abcd.hcp.westeurope.azmk8s.io\"\nca_file = \"/etc/writ/cluster.pem\"\n\n[broker.target.provider.azure]\ntenant_id = \"11111111-1111-1111-1111-111111111111\"\nclient_id = \"33333333-3333-3333-3333-333333333333\"\nservice = \"aks\""
    error_message = "the configuration is another"
  }
}

run "refuses_no_namespace" {
  command = plan

  variables {
    namespaces = {}
  }

  expect_failures = [var.namespaces]
}

run "refuses_any_namespace" {
  command = plan

  variables {
    namespaces = { "*" = "Reader" }
  }

  expect_failures = [var.namespaces]
}

run "refuses_the_clusters_own_namespaces" {
  command = plan

  variables {
    namespaces = { "kube-system" = "Reader" }
  }

  expect_failures = [var.namespaces]
}

run "refuses_admin" {
  command = plan

  variables {
    namespaces = { reports = "Admin" }
  }

  expect_failures = [var.namespaces]
}

run "refuses_the_clusters_admin" {
  command = plan

  variables {
    namespaces = { reports = "Cluster Admin" }
  }

  expect_failures = [var.namespaces]
}

run "refuses_a_resource_group" {
  command = plan

  variables {
    cluster_id = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports"
  }

  expect_failures = [var.cluster_id]
}

run "refuses_any_cluster" {
  command = plan

  variables {
    cluster_id = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports/providers/Microsoft.ContainerService/managedClusters/*"
  }

  expect_failures = [var.cluster_id]
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
