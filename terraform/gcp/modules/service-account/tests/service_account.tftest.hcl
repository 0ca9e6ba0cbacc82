mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { name = "projects/writ-example/serviceAccounts/example@writ-example.iam.gserviceaccount.com" }
  }

  mock_resource "google_project_iam_custom_role" {
    defaults = { name = "projects/writ-example/roles/example" }
  }
}

variables {
  project_id = "writ-example"
  target     = "reports"
  pool       = { project_number = "123456789012", pool_id = "writ", provider_id = "writ", assertion_audience = "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ", subjects = ["target:reports", "target:orders", "target:cluster", "workload:0123456789abcdef0123456789abcdef"] }
}

run "lets_the_target_in_and_no_other" {
  command = plan

  variables {
    project_roles = [{ role = "roles/storage.objectViewer" }]
  }

  assert {
    condition     = [for one in google_service_account_iam_member.this : [one.role, one.member]] == [["roles/iam.workloadIdentityUser", "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/subject/target:reports"]]
    error_message = "others are let in"
  }

  assert {
    condition     = google_project_iam_member.this["roles/storage.objectViewer"].member == "serviceAccount:writ-reports@writ-example.iam.gserviceaccount.com"
    error_message = "another has the role"
  }
}

run "writes_the_target" {
  command = plan

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"reports\"\nprotocol = \"gcp\"\nhost = \"storage.googleapis.com\"\n\n[broker.target.provider.gcp]\nservice_account = \"writ-reports@writ-example.iam.gserviceaccount.com\"\ndefault_scope = \"default\"\nscopes = { default = { oauth = [\"https://www.googleapis.com/auth/cloud-platform\"] } }\n\n[broker.target.provider.gcp.federation]\npool_provider = \"projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\"\naudience = \"https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\""
    error_message = "the configuration is another"
  }
}

run "lets_a_workload_in_instead" {
  command = plan

  variables {
    workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
  }

  assert {
    condition     = output.members == tolist(["principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/subject/workload:0123456789abcdef0123456789abcdef"])
    error_message = "others are let in"
  }

  assert {
    condition     = strcontains(output.writ_target, "subject = \"workload\"")
    error_message = "the configuration is another"
  }
}

run "bounds_a_role_by_a_condition" {
  command = plan

  variables {
    project_roles = [{ role = "roles/storage.objectViewer", condition = { title = "reports", expression = "resource.name.startsWith('projects/_/buckets/reports/')" } }]
  }

  assert {
    condition     = google_project_iam_member.this["roles/storage.objectViewer/reports"].condition[0].title == "reports"
    error_message = "the condition is lost"
  }
}

run "lets_tokens_live_longer_where_the_organization_does" {
  command = plan

  variables {
    lifetime           = 7200
    lifetime_extension = true
  }

  assert {
    condition     = strcontains(output.writ_target, "max_lifetime_seconds = 7200")
    error_message = "the configuration is another"
  }
}

run "refuses_tokens_over_the_limit" {
  command = plan

  variables {
    lifetime = 7200
  }

  expect_failures = [google_service_account.this]
}

run "refuses_a_target_that_the_pool_does_not_take" {
  command = plan

  variables {
    target = "others"
  }

  expect_failures = [google_service_account.this]
}

run "refuses_an_account_id_that_became_too_long" {
  command = plan

  variables {
    target = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    pool   = { project_number = "123456789012", pool_id = "writ", provider_id = "writ", assertion_audience = "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ", subjects = ["target:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] }
  }

  expect_failures = [google_service_account.this]
}

run "refuses_tokens_of_a_day" {
  command = plan

  variables {
    lifetime = 86400
  }

  expect_failures = [var.lifetime]
}

run "refuses_tokens_of_a_second" {
  command = plan

  variables {
    lifetime = 1
  }

  expect_failures = [var.lifetime]
}

run "refuses_half_seconds" {
  command = plan

  variables {
    lifetime = 60.5
  }

  expect_failures = [var.lifetime]
}

run "refuses_owner" {
  command = plan

  variables {
    project_roles = [{ role = "roles/owner" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_editor" {
  command = plan

  variables {
    project_roles = [{ role = "roles/editor" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_viewer" {
  command = plan

  variables {
    project_roles = [{ role = "roles/viewer" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_making_tokens_of_other_accounts" {
  command = plan

  variables {
    project_roles = [{ role = "roles/iam.serviceAccountTokenCreator" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_being_other_accounts" {
  command = plan

  variables {
    project_roles = [{ role = "roles/iam.serviceAccountUser" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_the_projects_iam_admin" {
  command = plan

  variables {
    project_roles = [{ role = "roles/resourcemanager.projectIamAdmin" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_a_role_without_its_kind" {
  command = plan

  variables {
    project_roles = [{ role = "storage.objectViewer" }]
  }

  expect_failures = [var.project_roles]
}

run "refuses_any_role" {
  command = plan

  variables {
    project_roles = [{ role = "*" }]
  }

  expect_failures = [var.project_roles]
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

run "refuses_no_scope" {
  command = plan

  variables {
    scopes = []
  }

  expect_failures = [var.scopes]
}

run "refuses_a_scope_by_its_short_name" {
  command = plan

  variables {
    scopes = ["cloud-platform"]
  }

  expect_failures = [var.scopes]
}

run "refuses_an_account_id_that_is_an_address" {
  command = plan

  variables {
    account_id = "a@b.iam.gserviceaccount.com"
  }

  expect_failures = [var.account_id]
}

run "refuses_a_url" {
  command = plan

  variables {
    host = "https://storage.googleapis.com"
  }

  expect_failures = [var.host]
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
