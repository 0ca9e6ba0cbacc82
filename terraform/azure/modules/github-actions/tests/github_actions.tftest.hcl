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
  name        = "deploy"
  repository  = { owner = "octo-org", owner_id = "65", name = "octo-repo", id = "74" }
  environment = "production"
}

run "trusts_one_job_by_numbers" {
  command = plan

  variables {
    role_assignments = { x = { role = "Reader", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  assert {
    condition     = output.credentials == [{ issuer = "https://token.actions.githubusercontent.com", subject = "repo:octo-org@65/octo-repo@74:environment:production", audiences = tolist(["api://AzureADTokenExchange"]) }]
    error_message = "others are trusted"
  }

  assert {
    condition     = azuread_application.this.sign_in_audience == "AzureADMyOrg"
    error_message = "the application is for others too"
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

run "trusts_a_name_where_that_is_taken" {
  command = plan

  variables {
    subject_format         = "name"
    accept_recyclable_name = true
  }

  assert {
    condition     = output.subject == "repo:octo-org/octo-repo:environment:production"
    error_message = "another subject"
  }
}

run "refuses_a_name_that_can_pass_to_others" {
  command = plan

  variables {
    subject_format = "name"
  }

  expect_failures = [azuread_application.this]
}

run "refuses_a_job_of_any_kind" {
  command = plan

  variables {
    environment = null
  }

  expect_failures = [azuread_application.this]
}

run "refuses_two_kinds_of_job" {
  command = plan

  variables {
    branch = "main"
  }

  expect_failures = [azuread_application.this]
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
    role_assignments = { x = { role = "Owner", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_owner_however_it_is_written" {
  command = plan

  variables {
    role_assignments = { x = { role = "owner", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_contributor" {
  command = plan

  variables {
    role_assignments = { x = { role = "Contributor", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_the_user_access_administrator" {
  command = plan

  variables {
    role_assignments = { x = { role = "User Access Administrator", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_the_rbac_administrator" {
  command = plan

  variables {
    role_assignments = { x = { role = "Role Based Access Control Administrator", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_a_subscription_that_was_not_asked_for" {
  command = plan

  variables {
    role_assignments = { x = { role = "Reader", scope = "/subscriptions/22222222-2222-2222-2222-222222222222" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_a_management_group" {
  command = plan

  variables {
    role_assignments = { x = { role = "Reader", scope = "/providers/Microsoft.Management/managementGroups/root" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_everything" {
  command = plan

  variables {
    role_assignments = { x = { role = "Reader", scope = "/" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_a_wildcard_in_the_scope" {
  command = plan

  variables {
    role_assignments = { x = { role = "Reader", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/*" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_any_role" {
  command = plan

  variables {
    role_assignments = { x = { role = "*", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  expect_failures = [var.role_assignments]
}

run "refuses_a_format_that_is_not_known" {
  command = plan

  variables {
    subject_format = "any"
  }

  expect_failures = [var.subject_format]
}

run "refuses_a_cloud_that_is_not_known" {
  command = plan

  variables {
    cloud = "germany"
  }

  expect_failures = [var.cloud]
}
