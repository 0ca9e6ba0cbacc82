# The workspace has the environment variable TFC_WORKLOAD_IDENTITY_AUDIENCE_WRIT=writ, and runs on agents of your own whose image has
# `writ` (docs/install.md) and psql. ca.pem, the authority that vouches for the gateway, stands in the repository.
#
# No token is an output or a variable here: what Terraform reads stays in its state.

terraform {
  cloud {
    organization = "acme"
    workspaces {
      name = "payments"
    }
  }
}

locals {
  connect = "writ connect payments-db --database payments --gateway gateway.example:5432 --ca-file ca.pem --"
}

# While planning: reads. version.sql selects one row, a JSON object of texts: select json_build_object('version', ...).
data "external" "schema" {
  program     = ["sh", "-c", "${local.connect} psql -v ON_ERROR_STOP=1 -Atf version.sql"]
  working_dir = path.module
}

# While applying: writes.
resource "terraform_data" "migrations" {
  triggers_replace = filesha256("${path.module}/migrations.sql")

  provisioner "local-exec" {
    command     = "${local.connect} psql -v ON_ERROR_STOP=1 -f migrations.sql"
    working_dir = path.module
  }
}

output "schema_version" {
  value = data.external.schema.result.version
}
