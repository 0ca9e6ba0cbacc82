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

variable "instance" {
  description = "The instance's name. It needs the flag `cloudsql.iam_authentication=on`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,96}[a-z0-9]$", var.instance))
    error_message = "instance must be one instance's name, without its project and without wildcards."
  }
}

variable "host" {
  description = "Where the gateway reaches the instance: its DNS name or address."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$", var.host))
    error_message = "host must be a host's name or address alone, without port."
  }
}

variable "port" {
  description = "The instance's port."
  type        = number
  default     = 5432
  nullable    = false

  validation {
    condition     = var.port >= 1 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "port must be a whole number from 1 to 65535."
  }
}

variable "database_roles" {
  description = "Roles of the database that sessions act with, for the output `sql`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for role in var.database_roles : can(regex("^[A-Za-z_][A-Za-z0-9_]{0,62}$", role))])
    error_message = "database_roles must be plain names: letters, digits and _."
  }

  validation {
    condition     = !anytrue([for role in var.database_roles : contains(["cloudsqlsuperuser", "cloudsqladmin", "postgres"], role)])
    error_message = "database_roles must not name an administrator of the server. Make a role for what sessions need."
  }
}

variable "ca_file" {
  description = "Where Writ has the instance's certificate authority."
  type        = string
  default     = null

  validation {
    condition     = var.ca_file == null || can(regex("^/[^\\s]+\\.pem$", var.ca_file))
    error_message = "ca_file must be the absolute path of a .pem file at the broker and its gateways."
  }
}
