variable "tenant_id" {
  description = "The tenant's id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.tenant_id))
    error_message = "tenant_id must be the tenant's id, in lower case, not its domain, and not common or organizations, which stand for every tenant."
  }
}

variable "issuer_url" {
  description = "The address of Writ's issuer: `url` of `[broker.issues]`, as tokens have it in `iss`. It must sign by RS256, which alone Entra takes."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.issuer_url, "https://")
    error_message = "issuer_url must begin with https://: Entra fetches the issuer's keys from there and takes no plain HTTP. Write the url of [broker.issues]."
  }

  validation {
    condition     = can(regex("^https?://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*$", var.issuer_url))
    error_message = "issuer_url must be a host in lower case and, if need be, a path, without a slash at its end: no query, no fragment, no user. Write it as https://issuer.example/writ."
  }

  validation {
    condition     = length(var.issuer_url) <= 600
    error_message = "issuer_url is longer than the 600 characters that Entra takes. Serve the issuer's documents below a shorter address."
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

variable "workload_subjects" {
  description = "Subjects of workloads (`writ issuer subject ISSUER SUBJECT` prints each) that are let in instead of the target's."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for subject in var.workload_subjects : can(regex("^workload:[0-9a-f]{32}$", subject))])
    error_message = "workload_subjects must be of the form workload: and 32 hexadecimal digits, each one workload's and no wildcard. `writ issuer subject ISSUER SUBJECT` prints it."
  }

  validation {
    condition     = length(var.workload_subjects) <= 20 && length(distinct(var.workload_subjects)) == length(var.workload_subjects)
    error_message = "workload_subjects must be at most 20, each once: Entra takes no more for one application. Use the target's subject (leave workload_subjects out), and let Writ's policies say who may use the target."
  }
}

variable "name" {
  description = "The application's display name, which databases know it by; `writ-` and the target's name where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.name == null || can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", var.name))
    error_message = "name must be 1 to 63 of letters, digits, ., _ and -, beginning with a letter or digit."
  }
}

variable "cloud" {
  description = "The cloud: `public`, `us_government` or `china`."
  type        = string
  default     = "public"
  nullable    = false

  validation {
    condition     = contains(["public", "us_government", "china"], var.cloud)
    error_message = "cloud must be public, us_government or china."
  }
}

variable "owners" {
  description = "Object ids of who owns the application besides whoever makes it."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for owner in var.owners : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", owner))])
    error_message = "owners must be object ids, in lower case. An owner can add a password to the application: name nobody whom the target's data is kept from."
  }
}

variable "role_assignments" {
  description = "What the application may do: a role by name, on a resource group or a resource. A whole subscription needs `whole_subscription = true`."
  type = map(object({
    role               = string
    scope              = string
    whole_subscription = optional(bool, false)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = !anytrue([for one in var.role_assignments : contains(["owner", "contributor", "user access administrator", "role based access control administrator"], lower(one.role))])
    error_message = "role_assignments: Owner, Contributor, User Access Administrator and Role Based Access Control Administrator are refused: they allow far more than any target's sessions need, and the first and last two hand out rights. Write a role such as Storage Blob Data Reader."
  }

  validation {
    condition     = alltrue([for one in var.role_assignments : can(regex("^[A-Za-z][A-Za-z0-9 ()./-]{0,511}$", one.role))])
    error_message = "role_assignments: role must be one role's name, such as Storage Blob Data Reader, without wildcards."
  }

  validation {
    condition = alltrue([for one in var.role_assignments : can(regex(
      one.whole_subscription ? "^/subscriptions/[0-9a-fA-F-]{36}$" : "^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/*?\\s]+(/providers(/[^/*?\\s]+)+)?$",
      one.scope,
    ))])
    error_message = "role_assignments: scope must be a resource group's or a resource's id. For all that a subscription has or will have write its id and whole_subscription = true; management groups are refused."
  }
}

variable "resource" {
  description = "What tokens are for, for `writ_target`: `arm`, `storage`, `sql`, `postgres`, `mysql`, `aks` or `key_vault`."
  type        = string
  default     = "arm"
  nullable    = false

  validation {
    condition     = contains(["arm", "storage", "sql", "postgres", "mysql", "aks", "key_vault"], var.resource)
    error_message = "resource must be arm, storage, sql, postgres, mysql, aks or key_vault."
  }
}

variable "host" {
  description = "The host of the API that sessions use; that of the cloud's management where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.host == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host))
    error_message = "host must be a host's name alone, such as reports.blob.core.windows.net."
  }
}
