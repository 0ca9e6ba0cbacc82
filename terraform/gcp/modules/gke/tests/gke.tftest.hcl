mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { name = "projects/writ-example/serviceAccounts/example@writ-example.iam.gserviceaccount.com" }
  }

  mock_resource "google_project_iam_custom_role" {
    defaults = { name = "projects/writ-example/roles/example" }
  }
}

variables {
  project_id    = "writ-example"
  target        = "cluster"
  pool          = { project_number = "123456789012", pool_id = "writ", provider_id = "writ", assertion_audience = "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ", subjects = ["target:reports", "target:orders", "target:cluster", "workload:0123456789abcdef0123456789abcdef"] }
  host          = "10.0.0.2"
  role_bindings = { reports = [{ name = "view" }] }
}

run "gives_the_account_nothing_but_rbac" {
  command = plan

  assert {
    condition     = length(module.account.project_roles) == 0 && length(google_project_iam_member.connect) == 0
    error_message = "it has roles on the project"
  }

  assert {
    condition     = output.members == tolist(["principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/subject/target:cluster"])
    error_message = "others are let in"
  }

  assert {
    condition     = yamldecode(output.rbac) == { apiVersion = "rbac.authorization.k8s.io/v1", kind = "RoleBinding", metadata = { name = "writ-cluster-view", namespace = "reports" }, subjects = [{ kind = "User", name = "writ-cluster@writ-example.iam.gserviceaccount.com", apiGroup = "rbac.authorization.k8s.io" }], roleRef = { kind = "ClusterRole", name = "view", apiGroup = "rbac.authorization.k8s.io" } }
    error_message = "the binding is another"
  }
}

run "reaches_the_dns_endpoint_by_one_permission" {
  command = plan

  variables {
    dns_endpoint = true
  }

  assert {
    condition     = google_project_iam_custom_role.connect[0].permissions == toset(["container.clusters.connect"])
    error_message = "it has others"
  }

  assert {
    condition     = !strcontains(output.writ_target, "ca_file")
    error_message = "the configuration is another"
  }
}

run "writes_the_target" {
  command = plan

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"cluster\"\nprotocol = \"kubernetes\"\nhost = \"10.0.0.2\"\nca_file = \"/etc/writ/cluster.pem\"\n\n[broker.target.provider.gke]\nservice_account = \"writ-cluster@writ-example.iam.gserviceaccount.com\"\n\n[broker.target.provider.gke.federation]\npool_provider = \"projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\"\naudience = \"https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\""
    error_message = "the configuration is another"
  }
}

run "refuses_no_binding" {
  command = plan

  variables {
    role_bindings = {}
  }

  expect_failures = [var.role_bindings]
}

run "refuses_the_clusters_admin" {
  command = plan

  variables {
    role_bindings = { reports = [{ name = "cluster-admin" }] }
  }

  expect_failures = [var.role_bindings]
}

run "refuses_system_roles" {
  command = plan

  variables {
    role_bindings = { reports = [{ name = "system:node" }] }
  }

  expect_failures = [var.role_bindings]
}

run "refuses_any_namespace" {
  command = plan

  variables {
    role_bindings = { "*" = [{ name = "view" }] }
  }

  expect_failures = [var.role_bindings]
}

run "refuses_the_clusters_own_namespaces" {
  command = plan

  variables {
    role_bindings = { "kube-system" = [{ name = "view" }] }
  }

  expect_failures = [var.role_bindings]
}

run "refuses_any_role" {
  command = plan

  variables {
    role_bindings = { reports = [{ name = "*" }] }
  }

  expect_failures = [var.role_bindings]
}

run "refuses_a_kind_that_is_not_known" {
  command = plan

  variables {
    role_bindings = { reports = [{ kind = "Group", name = "view" }] }
  }

  expect_failures = [var.role_bindings]
}

run "refuses_a_url" {
  command = plan

  variables {
    host = "https://10.0.0.2"
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

run "refuses_any_pool" {
  command = plan

  variables {
    pool = { project_number = "123456789012", pool_id = "*", provider_id = "writ", assertion_audience = "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ", subjects = ["target:reports", "target:orders", "target:cluster", "workload:0123456789abcdef0123456789abcdef"] }
  }

  expect_failures = [var.pool]
}

run "refuses_a_pool_of_any_project" {
  command = plan

  variables {
    pool = { project_number = "-", pool_id = "writ", provider_id = "writ", assertion_audience = "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ", subjects = ["target:reports", "target:orders", "target:cluster", "workload:0123456789abcdef0123456789abcdef"] }
  }

  expect_failures = [var.pool]
}

run "refuses_a_projects_number_as_its_id" {
  command = plan

  variables {
    project_id = "123456789012"
  }

  expect_failures = [var.project_id]
}

run "refuses_any_project" {
  command = plan

  variables {
    project_id = "*"
  }

  expect_failures = [var.project_id]
}
