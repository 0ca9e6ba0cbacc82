variable "project_id" {
  description = "The project's id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id, 6 to 30 of a-z, 0-9 and -: neither its number nor its name. `gcloud projects list` shows it."
  }
}

variable "target" {
  description = "The target's name in Writ's configuration. The subject `target:NAME` is let in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,62}$", var.target))
    error_message = "target must be one target's name: 1 to 63 of a-z, 0-9, -, _ and ., beginning with a letter or digit, and no wildcard. Use this module once for each target."
  }
}

variable "pool" {
  description = "The pool that trusts Writ's issuer: the output `pool` of the module `workload-identity-pool`."
  type = object({
    project_number     = string
    pool_id            = string
    provider_id        = string
    assertion_audience = string
    subjects           = list(string)
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.pool.project_number)) && can(regex("^[a-z0-9-]{4,32}$", var.pool.pool_id)) && can(regex("^[a-z0-9-]{4,32}$", var.pool.provider_id))
    error_message = "pool must be one pool and its provider, without wildcards. Pass the output `pool` of the module workload-identity-pool on as it is."
  }
}

variable "workload_subjects" {
  description = "Subjects of workloads (`writ issuer subject ISSUER SUBJECT` prints each) that are let in instead of the target's."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for subject in var.workload_subjects : can(regex("^workload:[0-9a-f]{32}$", subject))])
    error_message = "workload_subjects must be of the form workload: and 32 hexadecimal digits, each one workload's and no wildcard. `writ issuer subject ISSUER SUBJECT` prints it."
  }
}

variable "account_id" {
  description = "The service account's id; `writ-` and the target's name where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account_id))
    error_message = "account_id must be 6 to 30 of a-z, 0-9 and -, beginning with a letter."
  }
}

variable "project_roles" {
  description = "Roles that the account has on the project, each with a condition if need be. Prefer roles on single resources, granted to the output `member`."
  type = list(object({
    role = string
    condition = optional(object({
      title      = string
      expression = string
    }))
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for one in var.project_roles : can(regex("^(roles|projects/[a-z0-9-]+/roles|organizations/[0-9]+/roles)/[A-Za-z0-9._]+$", one.role))])
    error_message = "project_roles: a role must be written in full, as roles/storage.objectViewer or projects/ID/roles/NAME."
  }

  validation {
    condition     = !anytrue([for one in var.project_roles : contains(["roles/owner", "roles/editor", "roles/viewer", "roles/admin", "roles/writer", "roles/reader"], one.role)])
    error_message = "project_roles: the basic roles owner, editor and viewer are refused: they allow far more than any target's sessions need. Write a predefined role, such as roles/storage.objectViewer."
  }

  validation {
    condition = !anytrue([for one in var.project_roles : anytrue([
      can(regex("^roles/iam\\.(serviceAccount|workloadIdentity|security|organizationRole|role|deny|principalAccessBoundary)", one.role)),
      can(regex("^roles/resourcemanager\\..*Admin$", one.role)),
    ])])
    error_message = "project_roles: roles that hand out or take on identities, such as roles/iam.serviceAccountTokenCreator and roles/resourcemanager.projectIamAdmin, are refused: with them a session could become another account."
  }
}

variable "lifetime" {
  description = "The longest life of a token in seconds."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.lifetime >= 60 && floor(var.lifetime) == var.lifetime && var.lifetime <= 43200
    error_message = "lifetime must be a whole number of seconds from 60 to 3600, or to 43200 with lifetime_extension: Google gives no longer token."
  }
}

variable "lifetime_extension" {
  description = "Whether the organization's policy `iam.allowServiceAccountCredentialLifetimeExtension` lists the account, so that tokens may live for up to 12 hours."
  type        = bool
  default     = false
  nullable    = false
}

variable "scopes" {
  description = "The OAuth scopes of tokens."
  type        = list(string)
  default     = ["https://www.googleapis.com/auth/cloud-platform"]
  nullable    = false

  validation {
    condition     = length(var.scopes) > 0 && alltrue([for scope in var.scopes : can(regex("^https://www\\.googleapis\\.com/auth/[a-z0-9._-]+$", scope))])
    error_message = "scopes must have at least one, each in full: Google gives no token without. Write [\"https://www.googleapis.com/auth/cloud-platform\"]."
  }
}

variable "host" {
  description = "The host of the API that sessions use."
  type        = string
  default     = "storage.googleapis.com"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host))
    error_message = "host must be a host's name alone, such as storage.googleapis.com."
  }
}
