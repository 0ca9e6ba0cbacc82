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
  tenant_id      = "11111111-1111-1111-1111-111111111111"
  issuer_url     = "https://issuer.example/writ"
  target         = "sales"
  host           = "sales.database.windows.net"
  database_roles = ["db_datareader"]
}

run "trusts_the_target_and_no_other" {
  command = plan

  assert {
    condition     = output.credentials == [{ issuer = "https://issuer.example/writ", subject = "target:sales", audiences = tolist(["api://AzureADTokenExchange"]) }]
    error_message = "others are trusted"
  }
}

run "names_the_user_by_its_object_id" {
  command = apply

  assert {
    condition     = output.sql == "CREATE USER [writ-sales] FROM EXTERNAL PROVIDER WITH OBJECT_ID = '55555555-5555-5555-5555-555555555555';\nALTER ROLE [db_datareader] ADD MEMBER [writ-sales];"
    error_message = "the statements are others"
  }

  assert {
    condition     = output.writ_target == "[[broker.target]]\nname = \"sales\"\nprotocol = \"azure\"\nhost = \"sales.database.windows.net\"\n\n[broker.target.provider.azure]\nresource = \"sql\"\ntenant_id = \"11111111-1111-1111-1111-111111111111\"\nclient_id = \"33333333-3333-3333-3333-333333333333\""
    error_message = "the configuration is another"
  }
}

run "refuses_the_owner" {
  command = plan

  variables {
    database_roles = ["db_owner"]
  }

  expect_failures = [var.database_roles]
}

run "refuses_who_hands_out_rights" {
  command = plan

  variables {
    database_roles = ["db_securityadmin"]
  }

  expect_failures = [var.database_roles]
}

run "refuses_no_role" {
  command = plan

  variables {
    database_roles = []
  }

  expect_failures = [var.database_roles]
}

run "refuses_a_role_with_a_bracket" {
  command = plan

  variables {
    database_roles = ["a]b"]
  }

  expect_failures = [var.database_roles]
}

run "refuses_an_alias" {
  command = plan

  variables {
    host = "sql.example.com"
  }

  expect_failures = [var.host]
}

run "refuses_a_port_in_the_host" {
  command = plan

  variables {
    host = "sales.database.windows.net:1433"
  }

  expect_failures = [var.host]
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
