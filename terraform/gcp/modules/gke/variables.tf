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

variable "host" {
  description = "The cluster's endpoint: its address, or its DNS name with `dns_endpoint`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$", var.host))
    error_message = "host must be a host's name or address alone, without https:// and port."
  }
}

variable "dns_endpoint" {
  description = "Whether the cluster is reached by its DNS endpoint, which asks IAM besides: the account then gets `container.clusters.connect`, and nothing else."
  type        = bool
  default     = false
  nullable    = false
}

variable "ca_file" {
  description = "Where Writ has the cluster's certificate authority; not needed with `dns_endpoint`."
  type        = string
  default     = null

  validation {
    condition     = var.ca_file == null || can(regex("^/[^\\s]+\\.pem$", var.ca_file))
    error_message = "ca_file must be the absolute path of a .pem file at the broker and its gateways."
  }
}

variable "role_bindings" {
  description = "What sessions may do in the cluster, for the output `rbac`: by namespace, the ClusterRoles or Roles that they get there."
  type = map(list(object({
    kind = optional(string, "ClusterRole")
    name = string
  })))
  nullable = false

  validation {
    condition     = length(var.role_bindings) > 0
    error_message = "role_bindings must name a namespace: without one sessions may do nothing. Write { reports = [{ name = \"view\" }] }."
  }

  validation {
    condition     = alltrue([for namespace, roles in var.role_bindings : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", namespace)) && !startswith(namespace, "kube-")])
    error_message = "role_bindings: a namespace must be named in full, without wildcards, and not be one of the cluster's own (kube-...)."
  }

  validation {
    condition     = alltrue(flatten([for roles in var.role_bindings : [for role in roles : contains(["ClusterRole", "Role"], role.kind) && can(regex("^[a-z0-9]([a-z0-9.:-]*[a-z0-9])?$", role.name))]]))
    error_message = "role_bindings: kind must be ClusterRole or Role, and name one role's, without wildcards."
  }

  validation {
    condition     = !anytrue(flatten([for roles in var.role_bindings : [for role in roles : role.name == "cluster-admin" || startswith(role.name, "system:")]]))
    error_message = "role_bindings: cluster-admin and the system: roles are refused. Write view, edit, or a role of your own."
  }
}
