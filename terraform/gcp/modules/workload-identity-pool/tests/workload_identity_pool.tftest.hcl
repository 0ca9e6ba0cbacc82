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
  issuer_url     = "https://issuer.example/writ"
  targets        = ["reports", "orders"]
}

run "takes_tokens_of_these_targets_alone" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_condition == "assertion.sub in ['target:orders', 'target:reports']"
    error_message = "the condition is another"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_mapping == tomap({ "google.subject" = "assertion.sub", "attribute.target" = "assertion.target" })
    error_message = "the mapping is another"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.oidc[0].issuer_uri == "https://issuer.example/writ" && google_iam_workload_identity_pool_provider.this.oidc[0].allowed_audiences == tolist(["https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ"])
    error_message = "another issuer or audience"
  }

  assert {
    condition     = output.pool.subjects == tolist(["target:orders", "target:reports"])
    error_message = "others are told to accounts"
  }
}

run "takes_tokens_of_a_workload" {
  command = plan

  variables {
    targets           = []
    workload_subjects = ["workload:0123456789abcdef0123456789abcdef"]
  }

  assert {
    condition     = output.attribute_condition == "assertion.sub in ['workload:0123456789abcdef0123456789abcdef']"
    error_message = "the condition is another"
  }
}

run "takes_keys_that_google_cannot_fetch" {
  command = plan

  variables {
    jwks_json = "{\"keys\":[{\"kty\":\"EC\"}]}"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.oidc[0].jwks_json != null
    error_message = "they are lost"
  }
}

run "refuses_a_pool_for_nobody" {
  command = plan

  variables {
    targets = []
  }

  expect_failures = [google_iam_workload_identity_pool.this]
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

run "refuses_a_user" {
  command = plan

  variables {
    issuer_url = "https://u@issuer.example"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_any_target" {
  command = plan

  variables {
    targets = ["*"]
  }

  expect_failures = [var.targets]
}

run "refuses_targets_with_a_wildcard" {
  command = plan

  variables {
    targets = ["reports-*"]
  }

  expect_failures = [var.targets]
}

run "refuses_a_target_that_leaves_the_condition" {
  command = plan

  variables {
    targets = ["a'] || true || assertion.sub in ['"]
  }

  expect_failures = [var.targets]
}

run "refuses_too_many_targets" {
  command = plan

  variables {
    targets = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "t13", "t14", "t15", "t16", "t17", "t18", "t19", "t20", "t21", "t22", "t23", "t24", "t25", "t26", "t27", "t28", "t29", "t30", "t31", "t32", "t33", "t34", "t35", "t36", "t37", "t38", "t39", "t40"]
  }

  expect_failures = [var.targets]
}

run "refuses_any_workload" {
  command = plan

  variables {
    workload_subjects = ["workload:*"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_a_repositorys_subject" {
  command = plan

  variables {
    workload_subjects = ["repo:octo-org/octo-repo:ref:refs/heads/main"]
  }

  expect_failures = [var.workload_subjects]
}

run "refuses_any_audience" {
  command = plan

  variables {
    audience = "*"
  }

  expect_failures = [var.audience]
}

run "refuses_no_audience" {
  command = plan

  variables {
    audience = ""
  }

  expect_failures = [var.audience]
}

run "refuses_keys_that_are_no_set" {
  command = plan

  variables {
    jwks_json = "{}"
  }

  expect_failures = [var.jwks_json]
}

run "refuses_a_private_key" {
  command = plan

  variables {
    jwks_json = "{\"keys\":[{\"kty\":\"EC\",\"d\":\"AA\"}]}"
  }

  expect_failures = [var.jwks_json]
}

run "refuses_googles_own_pools" {
  command = plan

  variables {
    pool_id = "gcp-writ"
  }

  expect_failures = [var.pool_id]
}

run "refuses_a_pool_id_that_is_too_short" {
  command = plan

  variables {
    pool_id = "w"
  }

  expect_failures = [var.pool_id]
}

run "refuses_googles_own_providers" {
  command = plan

  variables {
    provider_id = "gcp-writ"
  }

  expect_failures = [var.provider_id]
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
