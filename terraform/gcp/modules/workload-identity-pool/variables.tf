variable "project_id" {
  description = "The project's id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id, 6 to 30 of a-z, 0-9 and -: neither its number nor its name. `gcloud projects list` shows it."
  }
}

variable "project_number" {
  description = "The project's number, which the names of pools have in them."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "project_number must be the project's number, not its id. `gcloud projects describe ID --format='value(projectNumber)'` prints it."
  }
}

variable "issuer_url" {
  description = "The address of Writ's issuer: `url` of `[broker.issues]`, as tokens have it in `iss`."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.issuer_url, "https://")
    error_message = "issuer_url must begin with https://: Google fetches the issuer's keys from there and takes no plain HTTP. Write the url of [broker.issues]."
  }

  validation {
    condition     = can(regex("^https?://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*$", var.issuer_url))
    error_message = "issuer_url must be a host in lower case and, if need be, a path, without a slash at its end: no query, no fragment, no user. Write it as https://issuer.example/writ."
  }
}

variable "targets" {
  description = "The names of the targets in Writ's configuration whose tokens the pool takes: no other subject gets through."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for target in var.targets : can(regex("^[a-z0-9][a-z0-9._-]{0,62}$", target))])
    error_message = "targets must be targets' names in full, without wildcards: 1 to 63 of a-z, 0-9, -, _ and ., beginning with a letter or digit."
  }

  validation {
    condition     = length(var.targets) <= 40
    error_message = "targets has more members than fit into one condition. Make another pool for the rest."
  }
}

variable "workload_subjects" {
  description = "Subjects of workloads (`writ issuer subject ISSUER SUBJECT` prints each) that the pool takes besides, for targets with `subject = \"workload\"`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for subject in var.workload_subjects : can(regex("^workload:[0-9a-f]{32}$", subject))])
    error_message = "workload_subjects must be of the form workload: and 32 hexadecimal digits, each one workload's and no wildcard. `writ issuer subject ISSUER SUBJECT` prints it."
  }

  validation {
    condition     = length(var.workload_subjects) <= 40
    error_message = "workload_subjects has more members than fit into one condition. Use targets' subjects, and let Writ's policies say who may use them."
  }
}

variable "pool_id" {
  description = "The pool's id."
  type        = string
  default     = "writ"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]{4,32}$", var.pool_id)) && !startswith(var.pool_id, "gcp-")
    error_message = "pool_id must be 4 to 32 of a-z, 0-9 and -, and not begin with gcp-, which Google keeps for itself."
  }
}

variable "provider_id" {
  description = "The id of the pool's provider."
  type        = string
  default     = "writ"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]{4,32}$", var.provider_id)) && !startswith(var.provider_id, "gcp-")
    error_message = "provider_id must be 4 to 32 of a-z, 0-9 and -, and not begin with gcp-, which Google keeps for itself."
  }
}

variable "audience" {
  description = "Whom Writ's assertions are for; the provider's own full name where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.audience == null || can(regex("^[A-Za-z0-9._:/-]{1,256}$", var.audience))
    error_message = "audience must be one audience in full, without wildcards or blanks. Leave it out: the provider's own name is nobody else's."
  }
}

variable "jwks_json" {
  description = "The issuer's keys as a JWK set, for an issuer that Google cannot reach. Then they must be written anew before each new key signs."
  type        = string
  default     = null

  validation {
    condition     = var.jwks_json == null || can(length(jsondecode(var.jwks_json).keys) > 0)
    error_message = "jwks_json must be a JWK set with its keys, as `writ issuer export` writes it into .well-known/jwks.json."
  }

  validation {
    condition     = var.jwks_json == null || !can(regex("\"(d|p|q|k)\"\\s*:", var.jwks_json))
    error_message = "jwks_json has a private key in it: write the public keys alone, as `writ issuer export` does."
  }
}
