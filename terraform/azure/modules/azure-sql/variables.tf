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

variable "host" {
  description = "The server's own name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.database\\.(windows\\.net|usgovcloudapi\\.net|chinacloudapi\\.cn)$", var.host))
    error_message = "host must be the server's own name, NAME.database.windows.net, without port."
  }
}

variable "database_roles" {
  description = "Roles of the database that sessions act with, for the output `sql`."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.database_roles) > 0 && alltrue([for role in var.database_roles : can(regex("^[A-Za-z_][A-Za-z0-9_]{0,62}$", role))])
    error_message = "database_roles must name at least one role, each plainly: letters, digits and _."
  }

  validation {
    condition     = !anytrue([for role in var.database_roles : contains(["db_owner", "db_securityadmin", "db_accessadmin", "public"], role)])
    error_message = "database_roles: db_owner, db_securityadmin and db_accessadmin are refused: they hand out rights. Write db_datareader, db_datawriter, or a role of your own."
  }
}
