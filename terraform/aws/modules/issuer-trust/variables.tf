variable "issuer_url" {
  description = "The address of Writ's issuer: `url` of `[broker.issues]`, as tokens have it in `iss`. Its documents must be public."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.issuer_url, "https://")
    error_message = "issuer_url must begin with https://: AWS fetches the issuer's keys from there and takes no plain HTTP. Write the url of [broker.issues]."
  }

  validation {
    condition     = !endswith(var.issuer_url, "/")
    error_message = "issuer_url must not end with a slash: AWS compares it with the token's iss, which has none. Leave the slash out."
  }

  validation {
    condition     = can(regex("^https?://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(/[A-Za-z0-9._~-]+)*/?$", var.issuer_url))
    error_message = "issuer_url must be a host in lower case and, if need be, a path: no port, no query, no fragment, no user. Write it as https://issuer.example/writ."
  }

  validation {
    condition     = length(var.issuer_url) <= 255
    error_message = "issuer_url is longer than the 255 characters that AWS takes. Serve the issuer's documents below a shorter address."
  }
}

variable "audiences" {
  description = "What tokens may be for. The first is what the target's `assume.audience` says; Writ's default is `sts.amazonaws.com`."
  type        = list(string)
  default     = ["sts.amazonaws.com"]
  nullable    = false

  validation {
    condition     = length(var.audiences) > 0 && length(var.audiences) <= 100
    error_message = "audiences must have 1 to 100 members: with none no token would be taken. Write [\"sts.amazonaws.com\"]."
  }

  validation {
    condition     = alltrue([for audience in var.audiences : can(regex("^[A-Za-z0-9._:/-]{1,255}$", audience))])
    error_message = "audiences must name each audience in full, without wildcards or blanks: AWS compares them as they are. Write [\"sts.amazonaws.com\"]."
  }

  validation {
    condition     = length(distinct(var.audiences)) == length(var.audiences)
    error_message = "audiences names one twice. Write each once."
  }
}

variable "thumbprints" {
  description = "SHA-1 thumbprints of the issuer's authority, for an issuer whose certificate is of no public authority. AWS does without where it is."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.thumbprints) <= 5 && alltrue([for print in var.thumbprints : can(regex("^[0-9a-f]{40}$", print))])
    error_message = "thumbprints must be at most 5, of 40 hexadecimal digits in lower case, without colons."
  }
}

variable "tags" {
  description = "Tags of the OIDC provider."
  type        = map(string)
  default     = {}
  nullable    = false
}
