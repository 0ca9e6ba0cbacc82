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
  target     = "reports"
}

run "trusts_the_target_and_no_other" {
  command = plan

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "target:reports", audiences = tolist(["api://AzureADTokenExchange"]) }]
    error_message = "others are trusted"
  }

  assert {
    condition     = azuread_application.this.sign_in_audience == "AzureADMyOrg" && azuread_application.this.prevent_duplicate_names
    error_message = "the application is for others too"
  }

  assert {
    condition     = length(azuread_application.this.password) == 0
    error_message = "it has a password"
  }

  assert {
    condition     = output.writ_issues == "[broker.issues]\nurl = \"https://issuer.example/writ\"\nalgorithm = \"RS256\""
    error_message = "the issuer is another"
  }
}

run "trusts_workloads_instead" {
  command = plan

  variables {
    workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
  }

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "workload:0123456789abcdef0123456789abcdef", audiences = tolist(["api://AzureADTokenExchange"]) }]
    error_message = "others are trusted"
  }
}

run "knows_other_clouds" {
  command = plan

  variables {
    cloud = "us_government"
  }

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "target:reports", audiences = tolist(["api://AzureADTokenExchangeUSGov"]) }]
    error_message = "another audience"
  }
}

run "knows_chinas_cloud" {
  command = plan

  variables {
    cloud = "china"
  }

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "target:reports", audiences = tolist(["api://AzureADTokenExchangeChina"]) }]
    error_message = "another audience"
  }
}

run "names_a_credential_as_entra_takes_it" {
  command = plan

  variables {
    target = "eu-1.reports_db"
  }

  assert {
    condition     = azuread_application_federated_identity_credential.this["target:eu-1.reports_db"].display_name == "target-eu-1-reports_db"
    error_message = "another name"
  }
}

run "writes_the_target" {
  command = apply

  variables {
    role_assignments = { x = { role = "Reader", scope = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/reports" } }
  }

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"reports\"\nprotocol = \"azure\"\nhost = \"management.azure.com\"\n\n[broker.target.provider.azure]\nresource = \"arm\"\ntenant_id = \"11111111-1111-1111-1111-111111111111\"\nclient_id = \"33333333-3333-3333-3333-333333333333\""
    error_message = "the configuration is another"
  }

  assert {
    condition     = azurerm_role_assignment.this["x"].principal_id == "55555555-5555-5555-5555-555555555555" && azurerm_role_assignment.this["x"].role_definition_name == "Reader"
    error_message = "another has the role"
  }
}

run "writes_what_differs_from_the_defaults" {
  command = apply

  variables {
    cloud             = "china"
    workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
    resource          = "key_vault"
  }

  assert {
    condition     = strcontains(output.writ_target, "entra = { cloud = \"china\", subject = \"workload\" }") && strcontains(output.writ_target, "host = \"management.chinacloudapi.cn\"")
    error_message = "the configuration is another"
  }
}

run "lets_a_whole_subscription_be_asked_for" {
  command = plan

  variables {
    role_assignments = { x = { role = "Reader", scope = "/subscriptions/22222222-2222-2222-2222-222222222222", whole_subscription = true } }
  }

  assert {
    condition     = length(azurerm_role_assignment.this) == 1
    error_message = "it is not given"
  }
}

run "refuses_a_name_that_became_too_long" {
  command = plan

  variables {
    target = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [azuread_application.this]
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

run "refuses_a_domain" {
  command = plan

  variables {
    tenant_id = "example.onmicrosoft.com"
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

run "refuses_a_trailing_slash" {
  command = plan

  variables {
    issuer_url = "https://issuer.example/writ/"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_a_query" {
  command = plan

  variables {
    issuer_url = "https://issuer.example/writ?x=1"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_a_wildcard_in_the_host" {
  command = plan

  variables {
    issuer_url = "https://*.example/writ"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_an_issuer_that_is_too_long" {
  command = plan

  variables {
    issuer_url = "https://issuer.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
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

run "refuses_more_than_entra_takes" {
  command = plan

  variables {
    workload_subjects = ["workload:00000000000000000000000000000000", "workload:00000000000000000000000000000001", "workload:00000000000000000000000000000002", "workload:00000000000000000000000000000003", "workload:00000000000000000000000000000004", "workload:00000000000000000000000000000005", "workload:00000000000000000000000000000006", "workload:00000000000000000000000000000007", "workload:00000000000000000000000000000008", "workload:00000000000000000000000000000009", "workload:0000000000000000000000000000000a", "workload:0000000000000000000000000000000b", "workload:0000000000000000000000000000000c", "workload:0000000000000000000000000000000d", "workload:0000000000000000000000000000000e", "workload:0000000000000000000000000000000f", "workload:00000000000000000000000000000010", "workload:00000000000000000000000000000011", "workload:00000000000000000000000000000012", "workload:00000000000000000000000000000013", "workload:00000000000000000000000000000014"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_a_workload_twice" {
  command = plan

  variables {
    workload_subjects = ["workload:0123456789abcdef0123456789abcdef", "workload:0123456789abcdef0123456789abcdef"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_a_cloud_that_is_not_known" {
  command = plan

  variables {
    cloud = "germany"
  }

  expect_failures = [var.cloud]
}

run "refuses_a_resource_that_is_not_known" {
  command = plan

  variables {
    resource = "graph"
  }

  expect_failures = [var.resource]
}

run "refuses_an_owner_by_name" {
  command = plan

  variables {
    owners = ["alice@example.com"]
  }

  expect_failures = [var.owners]
}

run "refuses_a_name_with_a_quote" {
  command = plan

  variables {
    name = "a'b"
  }

  expect_failures = [var.name]
}

run "refuses_a_url" {
  command = plan

  variables {
    host = "https://management.azure.com"
  }

  expect_failures = [var.host]
}
