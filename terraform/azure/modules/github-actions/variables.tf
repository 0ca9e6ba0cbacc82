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

variable "accept_recyclable_name" {
  description = "Whether it is taken that, with `subject_format = \"name\"`, whoever gets the repository's name gets in: Entra looks at no other claim."
  type        = bool
  default     = false
  nullable    = false
}

variable "name" {
  description = "The application's display name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", var.name))
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
    error_message = "owners must be object ids, in lower case. An owner can add a password to the application: name nobody whom the job's rights are kept from."
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
    error_message = "role_assignments: Owner, Contributor, User Access Administrator and Role Based Access Control Administrator are refused: they allow far more than a job needs, and the first and last two hand out rights. Write a role such as Storage Blob Data Reader."
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
