variable "target" {
  description = "The target's name in Writ's configuration. The role trusts the subject `target:NAME`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,62}$", var.target))
    error_message = "target must be one target's name: 1 to 63 of a-z, 0-9, -, _ and ., beginning with a letter or digit, and no wildcard. Use this module once for each target."
  }
}

variable "name" {
  description = "The role's name; `writ-` and the target's where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.name == null || can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 of the characters that IAM takes: letters, digits and + = , . @ _ -."
  }
}

variable "issuer" {
  description = "Writ's issuer as the account knows it: the output `issuer` of the module `issuer-trust`. This or `broker`."
  type = object({
    url      = string
    arn      = string
    audience = string
  })
  default = null

  validation {
    condition     = var.issuer == null || can(regex("^https://[^*?\\s]+[^*?/\\s]$", var.issuer.url))
    error_message = "issuer.url must begin with https://, have no wildcard, and not end with a slash. Pass the output `issuer` of the module issuer-trust on as it is."
  }

  validation {
    condition     = var.issuer == null || (can(regex("^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:oidc-provider/", var.issuer.arn)) && try(endswith(var.issuer.arn, ":oidc-provider/${trimprefix(var.issuer.url, "https://")}"), false))
    error_message = "issuer.arn is not the ARN of the OIDC provider for issuer.url. Pass the output `issuer` of the module issuer-trust on as it is."
  }

  validation {
    condition     = var.issuer == null || can(regex("^[A-Za-z0-9._:/-]{1,255}$", var.issuer.audience))
    error_message = "issuer.audience must be one audience in full, without wildcards: without it tokens that were made for others would open the role. Write \"sts.amazonaws.com\"."
  }
}

variable "workload_subjects" {
  description = "Subjects of workloads (`writ issuer subject ISSUER SUBJECT` prints each) that are trusted instead of the target's, for `assume = { subject = \"workload\" }`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for subject in var.workload_subjects : can(regex("^workload:[0-9a-f]{32}$", subject))])
    error_message = "workload_subjects must be of the form workload: and 32 hexadecimal digits, each one workload's and no wildcard. `writ issuer subject ISSUER SUBJECT` prints it."
  }

  validation {
    condition     = length(var.workload_subjects) <= 25
    error_message = "workload_subjects has more members than fit into a trust policy. Use the target's subject (leave workload_subjects out) and let Writ's policies say who may use the target."
  }
}

variable "broker" {
  description = "The broker's own role, for `assume = { by = \"broker\" }`, and the external id that it gives. This or `issuer`; prefer `issuer`."
  type = object({
    role_arn    = string
    external_id = string
  })
  default = null

  validation {
    condition     = var.broker == null || can(regex("^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$", var.broker.role_arn))
    error_message = "broker.role_arn must be the ARN of one role, arn:aws:iam::123456789012:role/NAME: not an account, not its root, no wildcard."
  }

  validation {
    condition     = var.broker == null || can(regex("^[A-Za-z0-9+=,.@:/_-]{2,1000}$", var.broker.external_id))
    error_message = "broker.external_id must be 2 to 1000 of letters, digits and + = , . @ : / _ -. Write a name of your own choosing, such as writ-prod, here and as `external_id` in Writ's configuration."
  }
}

variable "region" {
  description = "The database's region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-gov)?-[a-z]+-[0-9]$", var.region))
    error_message = "region must be a region's name, such as eu-west-1."
  }
}

variable "account_id" {
  description = "The account that the database is in; the provider's own where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "host" {
  description = "The endpoint's own name, as RDS lists it: a token is good for no other."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)*\\.rds\\.amazonaws\\.com(\\.cn)?$", var.host))
    error_message = "host must be the endpoint's own name, NAME.ID.REGION.rds.amazonaws.com, without port: RDS refuses tokens for aliases. Where the gateway reaches it by another name, see `endpoint_host` in Writ's documentation."
  }
}

variable "port" {
  description = "The endpoint's port."
  type        = number
  default     = 5432
  nullable    = false

  validation {
    condition     = var.port >= 1 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "port must be a whole number from 1 to 65535."
  }
}

variable "resource_id" {
  description = "The database's resource id: `resource_id` of an instance, `cluster_resource_id` of a cluster, or a proxy's."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(db|cluster|prx)-[A-Za-z0-9]+$", var.resource_id))
    error_message = "resource_id must be db-..., cluster-... or prx-..., in full: it is not the database's name, and a wildcard would open the databases that are made later. `aws rds describe-db-instances` lists it as DbiResourceId."
  }
}

variable "user" {
  description = "The database's user of sessions for which policy names none."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,63}$", var.user))
    error_message = "user must be one user's name, of letters, digits, _, . and -: with a wildcard sessions could log in as anybody."
  }

  validation {
    condition     = !contains(["rdsadmin", "rds_superuser", "postgres"], var.user)
    error_message = "user must not be an administrator of the server. Make a user for sessions, and grant it the roles that they need."
  }
}

variable "users" {
  description = "Further users by the names that policies give them (`@role`)."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, user in var.users : can(regex("^[A-Za-z0-9_-]+$", name)) && can(regex("^[A-Za-z0-9_.-]{1,63}$", user))])
    error_message = "users: names must be of letters, digits, - and _, and each user one user's name without wildcards, as in { owner = \"orders_owner\" }."
  }

  validation {
    condition     = !anytrue([for user in values(var.users) : contains(["rdsadmin", "rds_superuser", "postgres"], user)])
    error_message = "users must not name an administrator of the server. Make a user for sessions, and grant it the roles that they need."
  }
}

variable "ca_file" {
  description = "Where Writ has the region's bundle of certificates."
  type        = string
  default     = null

  validation {
    condition     = var.ca_file == null || can(regex("^/[^\\s]+\\.pem$", var.ca_file))
    error_message = "ca_file must be the absolute path of a .pem file at the broker and its gateways."
  }
}

variable "permissions_boundary" {
  description = "The ARN of the policy that bounds the role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:aws(-cn|-us-gov)?:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9+=,.@_/-]+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of a managed policy, arn:aws:iam::123456789012:policy/NAME."
  }
}

variable "path" {
  description = "The role's path."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([A-Za-z0-9+=,.@_-]+/)*$", var.path))
    error_message = "path must begin and end with a slash, as in /writ/."
  }
}

variable "tags" {
  description = "Tags of the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
