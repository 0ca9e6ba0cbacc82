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
  description = "The host of the cluster's API server, without https:// and port."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host))
    error_message = "host must be a host's name alone: `fqdn` of azurerm_kubernetes_cluster."
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

variable "namespace" {
  description = "The namespace of Writ's service accounts, which holds nothing else."
  type        = string
  default     = "writ-access"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace)) && !startswith(var.namespace, "kube-") && var.namespace != "default"
    error_message = "namespace must be one namespace's name, neither default nor the cluster's own (kube-...): the broker may list the Secrets in it."
  }
}

variable "service_accounts" {
  description = "The service accounts in it that sessions can be of: the first where policy names none, the others by `@role`."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.service_accounts) > 0 && alltrue([for account in var.service_accounts : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", account))])
    error_message = "service_accounts must name at least one account, each by its name alone, without namespace and wildcards. Write [\"viewer\"]."
  }

  validation {
    condition     = !contains(var.service_accounts, "default")
    error_message = "service_accounts must not have the account default: every pod of the namespace is that one unless it says otherwise."
  }
}
