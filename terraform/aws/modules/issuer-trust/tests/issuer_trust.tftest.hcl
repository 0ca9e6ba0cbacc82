mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/example" }
  }
}

variables {
  issuer_url = "https://issuer.example/writ"
}

run "trusts_the_issuer_for_one_audience" {
  command = plan

  assert {
    condition     = aws_iam_openid_connect_provider.this.url == "https://issuer.example/writ"
    error_message = "the URL is not the issuer's"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this.client_id_list == toset(["sts.amazonaws.com"])
    error_message = "it takes another audience"
  }

  assert {
    condition     = output.issuer == { url = "https://issuer.example/writ", arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/writ", audience = "sts.amazonaws.com" }
    error_message = "what roles are given is something else"
  }

  assert {
    condition     = output.writ_issues == "[broker.issues]\nurl = \"https://issuer.example/writ\""
    error_message = "the configuration is something else"
  }
}

run "takes_an_issuer_without_a_path" {
  command = plan

  variables {
    issuer_url = "https://issuer.example"
  }

  assert {
    condition     = output.issuer.arn == "arn:aws:iam::123456789012:oidc-provider/issuer.example"
    error_message = "another ARN"
  }
}

run "takes_further_audiences" {
  command = plan

  variables {
    audiences = ["sts.amazonaws.com", "writ-prod"]
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this.client_id_list) == 2
    error_message = "not both"
  }
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
    issuer_url = "issuer.example/writ"
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

run "refuses_a_port" {
  command = plan

  variables {
    issuer_url = "https://issuer.example:8443/writ"
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

run "refuses_a_fragment" {
  command = plan

  variables {
    issuer_url = "https://issuer.example/writ#x"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_a_user" {
  command = plan

  variables {
    issuer_url = "https://user@issuer.example/writ"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_upper_case" {
  command = plan

  variables {
    issuer_url = "https://Issuer.example/writ"
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

run "refuses_a_blank" {
  command = plan

  variables {
    issuer_url = "https://issuer.example/ writ"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_an_issuer_that_is_too_long" {
  command = plan

  variables {
    issuer_url = "https://issuer.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.issuer_url]
}

run "refuses_no_audience" {
  command = plan

  variables {
    audiences = []
  }

  expect_failures = [var.audiences]
}

run "refuses_any_audience" {
  command = plan

  variables {
    audiences = ["*"]
  }

  expect_failures = [var.audiences]
}

run "refuses_an_empty_audience" {
  command = plan

  variables {
    audiences = [""]
  }

  expect_failures = [var.audiences]
}

run "refuses_an_audience_with_a_wildcard" {
  command = plan

  variables {
    audiences = ["sts.*"]
  }

  expect_failures = [var.audiences]
}

run "refuses_an_audience_twice" {
  command = plan

  variables {
    audiences = ["a", "a"]
  }

  expect_failures = [var.audiences]
}

run "refuses_a_thumbprint_with_colons" {
  command = plan

  variables {
    thumbprints = ["AA:BB"]
  }

  expect_failures = [var.thumbprints]
}

run "refuses_a_thumbprint_of_another_length" {
  command = plan

  variables {
    thumbprints = ["0123456789abcdef"]
  }

  expect_failures = [var.thumbprints]
}
