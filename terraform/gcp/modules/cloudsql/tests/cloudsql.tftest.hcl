mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { name = "projects/writ-example/serviceAccounts/example@writ-example.iam.gserviceaccount.com" }
  }

  mock_resource "google_project_iam_custom_role" {
    defaults = { name = "projects/writ-example/roles/example" }
  }
}

variables {
  project_id     = "writ-example"
  target         = "orders"
  pool           = { project_number = "123456789012", pool_id = "writ", provider_id = "writ", assertion_audience = "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ", subjects = ["target:reports", "target:orders", "target:cluster", "workload:0123456789abcdef0123456789abcdef"] }
  instance       = "orders"
  host           = "orders.example.sql.goog"
  database_roles = ["readers"]
}

run "lets_the_account_log_in_to_this_instance_alone" {
  command = plan

  assert {
    condition     = module.account.project_roles == [{ role = "roles/cloudsql.instanceUser", condition = "resource.type == 'sqladmin.googleapis.com/Instance' && resource.name == 'projects/writ-example/instances/orders'" }]
    error_message = "the roles are others"
  }

  assert {
    condition     = google_sql_user.this.name == "writ-orders@writ-example.iam" && google_sql_user.this.type == "CLOUD_IAM_SERVICE_ACCOUNT" && google_sql_user.this.password == null
    error_message = "the user is another"
  }

  assert {
    condition     = output.members == tolist(["principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/subject/target:orders"])
    error_message = "others are let in"
  }

  assert {
    condition     = output.sql == "GRANT \"readers\" TO \"writ-orders@writ-example.iam\";"
    error_message = "the statement is another"
  }
}

run "writes_the_target" {
  command = plan

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"orders\"\nhost = \"orders.example.sql.goog\"\nport = 5432\nca_file = \"/etc/writ/orders.pem\"\n\n[broker.target.provider.cloudsql]\nservice_account = \"writ-orders@writ-example.iam.gserviceaccount.com\"\n\n[broker.target.provider.cloudsql.federation]\npool_provider = \"projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\"\naudience = \"https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\""
    error_message = "the configuration is another"
  }
}

run "refuses_any_instance" {
  command = plan

  variables {
    instance = "*"
  }

  expect_failures = [var.instance]
}

run "refuses_an_instance_with_its_project" {
  command = plan

  variables {
    instance = "writ-example:europe-west1:orders"
  }

  expect_failures = [var.instance]
}

run "refuses_an_instance_that_leaves_the_condition" {
  command = plan

  variables {
    instance = "a' || true"
  }

  expect_failures = [var.instance]
}

run "refuses_the_superuser" {
  command = plan

  variables {
    database_roles = ["cloudsqlsuperuser"]
  }

  expect_failures = [var.database_roles]
}

run "refuses_a_role_with_a_quote" {
  command = plan

  variables {
    database_roles = ["a\"b"]
  }

  expect_failures = [var.database_roles]
}

run "refuses_a_url" {
  command = plan

  variables {
    host = "https://a.b"
  }

  expect_failures = [var.host]
}

run "refuses_a_port_in_the_host" {
  command = plan

  variables {
    host = "a.b:5432"
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
