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
  description = "The region that the cluster is in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-gov)?-[a-z]+-[0-9]$", var.region))
    error_message = "region must be a region's name, such as eu-west-1. The global STS is not asked."
  }
}

variable "cluster_name" {
  description = "The cluster's name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name must be one cluster's name: 1 to 100 letters, digits, - and _."
  }
}

variable "host" {
  description = "The host of the cluster's endpoint, without https://."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$", var.host))
    error_message = "host must be a host's name alone: write trimprefix(aws_eks_cluster.NAME.endpoint, \"https://\")."
  }
}

variable "ca_file" {
  description = "Where Writ has the cluster's certificate authority."
  type        = string
  default     = null

  validation {
    condition     = var.ca_file == null || can(regex("^/[^\\s]+\\.pem$", var.ca_file))
    error_message = "ca_file must be the absolute path of a .pem file at the broker and its gateways."
  }
}

variable "kubernetes_groups" {
  description = "The groups that sessions are in: bind them to what they may do by RBAC."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.kubernetes_groups) > 0
    error_message = "kubernetes_groups must name a group: without one sessions may do nothing. Write a group that a RoleBinding names, such as [\"readers\"]."
  }

  validation {
    condition     = !anytrue([for group in var.kubernetes_groups : can(regex("^(system|eks|aws|amazon|iam):", group))])
    error_message = "kubernetes_groups must not begin with system:, eks:, aws:, amazon: or iam:, which EKS keeps for itself; system:masters could not be bounded by RBAC. Bind a group of your own by a RoleBinding."
  }

  validation {
    condition     = alltrue([for group in var.kubernetes_groups : can(regex("^[A-Za-z0-9:._/@-]{1,63}$", group))])
    error_message = "kubernetes_groups must be names of groups, without wildcards: RBAC compares them as they are."
  }
}

variable "additional_roles" {
  description = "Further roles of the target for `writ_target`, by the names that policies give them (`@role`): the `role_arn` of other instances of this module."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, arn in var.additional_roles : can(regex("^[A-Za-z0-9_-]+$", name))])
    error_message = "additional_roles: a name must be of letters, digits, - and _, as in { deployer = module.deployer.role_arn }."
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
