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
  project_number = "123456789012"
  pool_id        = "deploy"
  account_id     = "deploy"
  repository     = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "74" }
  environment    = "production"
}

run "lets_one_job_in_by_numbers" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_condition == "assertion.repository_owner_id == '65' && assertion.repository_id == '74' && assertion.environment == 'production' && assertion.event_name in ['push', 'workflow_dispatch']"
    error_message = "the condition is another"
  }

  assert {
    condition     = google_service_account_iam_member.this.member == "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/deploy/attribute.repository_id/74"
    error_message = "others are let in"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.oidc[0].issuer_uri == "https://token.actions.githubusercontent.com" && google_iam_workload_identity_pool_provider.this.oidc[0].allowed_audiences == tolist(["https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/deploy/providers/github"])
    error_message = "another issuer or audience"
  }

  assert {
    condition     = output.workload_identity_provider == "projects/123456789012/locations/global/workloadIdentityPools/deploy/providers/github"
    error_message = "the provider has another name"
  }
}

run "lets_a_branch_in" {
  command = plan

  variables {
    environment = null
    branch      = "main"
  }

  assert {
    condition     = strcontains(output.attribute_condition, "assertion.ref == 'refs/heads/main'")
    error_message = "the condition is another"
  }
}

run "lets_a_tag_in" {
  command = plan

  variables {
    environment = null
    tag         = "v1"
  }

  assert {
    condition     = strcontains(output.attribute_condition, "assertion.ref == 'refs/tags/v1'")
    error_message = "the condition is another"
  }
}

run "lets_one_workflow_in" {
  command = plan

  variables {
    job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"
  }

  assert {
    condition     = endswith(output.attribute_condition, " && assertion.job_workflow_ref == 'octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main'")
    error_message = "the condition is another"
  }
}

run "lets_a_workflow_in_by_its_commit" {
  command = plan

  variables {
    job_workflow_ref = "octo-org/workflows/.github/workflows/deploy.yml@9f3182061f1e2cca4702c368cbc039b7dc9d4485"
  }

  assert {
    condition     = endswith(output.attribute_condition, "@9f3182061f1e2cca4702c368cbc039b7dc9d4485'")
    error_message = "the condition is another"
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

run "refuses_a_workflow_that_leaves_the_condition" {
  command = plan

  variables {
    job_workflow_ref = "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/a' || true || '"
  }

  expect_failures = [var.job_workflow_ref]
}

run "lets_every_event_in_that_only_writers_start" {
  command = plan

  variables {
    events = ["schedule", "release", "repository_dispatch", "workflow_dispatch", "push"]
  }

  assert {
    condition     = strcontains(output.attribute_condition, "assertion.event_name in ['push', 'release', 'repository_dispatch', 'schedule', 'workflow_dispatch']")
    error_message = "the condition is another"
  }
}

run "refuses_an_event_that_others_start" {
  command = plan

  variables {
    events = ["push", "check_run"]
  }

  expect_failures = [var.events]
}

run "refuses_an_event_that_is_not_known" {
  command = plan

  variables {
    events = ["pushed"]
  }

  expect_failures = [var.events]
}

run "refuses_a_job_of_any_kind" {
  command = plan

  variables {
    environment = null
  }

  expect_failures = [google_iam_workload_identity_pool.this]
}

run "refuses_two_kinds_of_job" {
  command = plan

  variables {
    tag = "v1"
  }

  expect_failures = [google_iam_workload_identity_pool.this]
}

run "refuses_an_environment_that_leaves_the_condition" {
  command = plan

  variables {
    environment = "a' || true || '"
  }

  expect_failures = [var.environment]
}

run "refuses_pull_requests" {
  command = plan

  variables {
    events = ["pull_request"]
  }

  expect_failures = [var.events]
}

run "refuses_pull_requests_with_the_bases_rights" {
  command = plan

  variables {
    events = ["push", "pull_request_target"]
  }

  expect_failures = [var.events]
}

run "refuses_runs_that_others_started" {
  command = plan

  variables {
    events = ["workflow_run"]
  }

  expect_failures = [var.events]
}

run "refuses_any_event" {
  command = plan

  variables {
    events = ["*"]
  }

  expect_failures = [var.events]
}

run "refuses_no_event" {
  command = plan

  variables {
    events = []
  }

  expect_failures = [var.events]
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

run "refuses_a_projects_id_as_its_number" {
  command = plan

  variables {
    project_number = "writ-example"
  }

  expect_failures = [var.project_number]
}

run "refuses_a_dash_as_its_number" {
  command = plan

  variables {
    project_number = "-"
  }

  expect_failures = [var.project_number]
}

run "refuses_googles_own_pools" {
  command = plan

  variables {
    pool_id = "gcp-deploy"
  }

  expect_failures = [var.pool_id]
}

run "refuses_any_audience" {
  command = plan

  variables {
    audience = "*"
  }

  expect_failures = [var.audience]
}

run "refuses_an_account_id_that_is_too_short" {
  command = plan

  variables {
    account_id = "ci"
  }

  expect_failures = [var.account_id]
}
