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

variable "statements" {
  description = "What the role may do at most. `conditions` is operator, then key, then values. A resource of `*` alone needs `any_resource = true`."
  type = list(object({
    actions      = list(string)
    resources    = list(string)
    conditions   = optional(map(map(list(string))), {})
    any_resource = optional(bool, false)
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for one in var.statements : length(one.actions) > 0 && length(one.resources) > 0])
    error_message = "statements: each needs actions and resources."
  }

  validation {
    condition     = alltrue(flatten([for one in var.statements : [for action in one.actions : can(regex("^[a-z0-9-]+:[A-Za-z0-9*?]+$", action))]]))
    error_message = "statements: an action must name its service, as in s3:GetObject. `*` for everything is refused: list what the target's sessions need."
  }

  validation {
    condition     = !anytrue(flatten([for one in var.statements : [for action in one.actions : can(regex("^(iam|sts|organizations|account):[*?]+$", action))]]))
    error_message = "statements: iam:*, sts:*, organizations:* and account:* are refused: with them a session could change the trust that lets it in. List the actions."
  }

  validation {
    condition     = alltrue(flatten([for one in var.statements : [for resource in one.resources : startswith(resource, "arn:") || (resource == "*" && one.any_resource)]]))
    error_message = "statements: a resource must be an ARN. For actions that know no resources, such as s3:ListAllMyBuckets, write resources = [\"*\"] and any_resource = true."
  }
}

variable "policy_arns" {
  description = "Managed policies to attach, at most 10. Then `scopes` must be written."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.policy_arns) <= 10 && alltrue([for arn in var.policy_arns : can(regex("^arn:aws(-cn|-us-gov)?:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "policy_arns must be at most 10 ARNs of managed policies, arn:aws:iam::aws:policy/NAME or arn:aws:iam::123456789012:policy/NAME."
  }

  validation {
    condition     = !anytrue([for arn in var.policy_arns : can(regex("/(AdministratorAccess|IAMFullAccess|PowerUserAccess)$", arn))])
    error_message = "policy_arns: AdministratorAccess, IAMFullAccess and PowerUserAccess are refused: no target's sessions need all that they allow. Write statements."
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

variable "max_session_duration" {
  description = "The longest session in seconds, 3600 to 43200. With `broker` no more than 3600, since AWS gives no more to a role."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.max_session_duration >= 3600 && var.max_session_duration <= 43200 && floor(var.max_session_duration) == var.max_session_duration
    error_message = "max_session_duration must be a whole number of seconds from 3600 to 43200, AWS's own limits. A session of Writ's is as long as its writ, 15 minutes at least: let policies' @ttl say how long."
  }
}

variable "region" {
  description = "The region whose STS the broker asks, for `writ_target`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-gov)?-[a-z]+-[0-9]$", var.region))
    error_message = "region must be a region's name, such as eu-west-1. The global STS is not asked."
  }
}

variable "additional_roles" {
  description = "Further roles of the target for `writ_target`, by the names that policies give them (`@role`): the `arn` of other instances of this module."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, arn in var.additional_roles : can(regex("^[A-Za-z0-9_-]+$", name))])
    error_message = "additional_roles: a name must be of letters, digits, - and _, as in { writer = module.writer.arn }."
  }
}

variable "scopes" {
  description = "What sessions may do, by the names that policies give it (`@scope`), for `writ_target`. Where there are none, one scope `default` allows what `statements` do."
  type = map(list(object({
    actions    = list(string)
    resources  = list(string)
    conditions = optional(map(map(list(string))), {})
  })))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, scope in var.scopes : can(regex("^[A-Za-z0-9_-]+$", name)) && length(scope) > 0])
    error_message = "scopes: a name must be of letters, digits, - and _, and have at least one statement."
  }

  validation {
    condition     = alltrue(flatten([for scope in var.scopes : [for one in scope : length(one.actions) > 0 && length(one.resources) > 0]]))
    error_message = "scopes: each statement needs actions and resources."
  }
}

variable "default_scope" {
  description = "The scope of sessions for which policy names none."
  type        = string
  default     = null
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
