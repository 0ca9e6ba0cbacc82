variable "repository" {
  description = "The repository whose job is let in: names and numbers, as `gh api repos/OWNER/NAME --jq '.id, .owner.id'` prints them."
  type = object({
    owner    = string
    owner_id = string
    name     = string
    id       = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9]{1,20}$", var.repository.id)) && can(regex("^[0-9]{1,20}$", var.repository.owner_id))
    error_message = "repository.id and repository.owner_id must be GitHub's numbers: a name can pass to somebody else, its number cannot. `gh api repos/OWNER/NAME --jq '.id, .owner.id'` prints them."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9-]{0,38})$", var.repository.owner)) && can(regex("^[A-Za-z0-9._-]{1,100}$", var.repository.name))
    error_message = "repository.owner and repository.name must name one repository, without wildcards and without a slash. Use this module once for each repository."
  }
}

variable "environment" {
  description = "The deployment environment that the job must run in. This, `branch` or `tag`; prefer this, with protection rules."
  type        = string
  default     = null

  validation {
    condition     = var.environment == null || can(regex("^[A-Za-z0-9_]([A-Za-z0-9 _.,/+@=#()-]{0,253}[A-Za-z0-9_.)])?$", var.environment))
    error_message = "environment must be one environment's name of letters, digits, blanks and _ . , / + @ = # ( ) -, without wildcards. Rename one that has other characters."
  }
}

variable "branch" {
  description = "The branch that the job must run on, without refs/heads/."
  type        = string
  default     = null

  validation {
    condition     = var.branch == null || can(regex("^[A-Za-z0-9._][A-Za-z0-9._/-]*$", var.branch)) && !startswith(coalesce(var.branch, "-"), "refs/")
    error_message = "branch must be one branch's name without wildcards and without refs/heads/."
  }
}

variable "tag" {
  description = "The tag that the job must run on, without refs/tags/."
  type        = string
  default     = null

  validation {
    condition     = var.tag == null || can(regex("^[A-Za-z0-9._][A-Za-z0-9._/-]*$", var.tag)) && !startswith(coalesce(var.tag, "-"), "refs/")
    error_message = "tag must be one tag's name, without wildcards and without refs/tags/."
  }
}

variable "issuer_url" {
  description = "GitHub's issuer: another one for an enterprise with its own, for data residency and for GitHub Enterprise Server."
  type        = string
  default     = "https://token.actions.githubusercontent.com"
  nullable    = false

  validation {
    condition     = can(regex("^https://[a-z0-9-]+(\\.[a-z0-9-]+)+(/[A-Za-z0-9._-]+)*$", var.issuer_url))
    error_message = "issuer_url must be https://, a host and, if need be, a path, without a slash at its end. For GitHub itself leave it out."
  }
}

variable "subject_format" {
  description = "How GitHub writes the repository into subjects: `immutable` with the numbers, as of repositories made since July 2026 and of those that asked for it, or `name`."
  type        = string
  default     = "immutable"
  nullable    = false

  validation {
    condition     = contains(["immutable", "name"], var.subject_format)
    error_message = "subject_format must be immutable or name. A job's token says which: `sub` is repo:OWNER@NUMBER/NAME@NUMBER:... or repo:OWNER/NAME:...."
  }
}

variable "job_workflow_ref" {
  description = "The workflow file whose jobs are let in, with its ref: `OWNER/NAME/.github/workflows/FILE@refs/heads/BRANCH`, a tag or a commit. Of a job in a reusable workflow it is that one. The repository's subjects must be made of `repo`, `context` and `job_workflow_ref`. Every workflow of the repository, where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.job_workflow_ref == null || can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}/\\.github/workflows/[A-Za-z0-9._-]+\\.ya?ml@(refs/(heads|tags)/[A-Za-z0-9._][A-Za-z0-9._/-]*|[0-9a-f]{40})$", var.job_workflow_ref))
    error_message = "job_workflow_ref must be one workflow file with its ref in full, as octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main, without wildcards."
  }
}

variable "create_provider" {
  description = "Whether to make the account's OIDC provider for the issuer. An account has one: `false` where it is there."
  type        = bool
  default     = true
  nullable    = false
}

variable "audience" {
  description = "The audience that the job asks its token for."
  type        = string
  default     = "sts.amazonaws.com"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._:/-]{1,255}$", var.audience))
    error_message = "audience must be one audience in full, without wildcards. Write sts.amazonaws.com, or, where Writ passes the job's token on, Writ's own (broker.audience)."
  }
}

variable "name" {
  description = "The role's name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 of the characters that IAM takes: letters, digits and + = , . @ _ -."
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
    error_message = "statements: an action must name its service, as in s3:GetObject. `*` for everything is refused: list what the job needs."
  }

  validation {
    condition     = !anytrue(flatten([for one in var.statements : [for action in one.actions : can(regex("^(iam|sts|organizations|account):[*?]+$", action))]]))
    error_message = "statements: iam:*, sts:*, organizations:* and account:* are refused: with them the job could change the trust that lets it in. List the actions."
  }

  validation {
    condition     = alltrue(flatten([for one in var.statements : [for resource in one.resources : startswith(resource, "arn:") || (resource == "*" && one.any_resource)]]))
    error_message = "statements: a resource must be an ARN. For actions that know no resources, such as s3:ListAllMyBuckets, write resources = [\"*\"] and any_resource = true."
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
  description = "The longest session in seconds, 3600 to 43200."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.max_session_duration >= 3600 && var.max_session_duration <= 43200 && floor(var.max_session_duration) == var.max_session_duration
    error_message = "max_session_duration must be a whole number of seconds from 3600 to 43200, AWS's own limits."
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
