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

variable "events" {
  description = "The events whose runs are let in: of `push`, `workflow_dispatch`, `schedule`, `release` and `repository_dispatch`."
  type        = list(string)
  default     = ["push", "workflow_dispatch"]
  nullable    = false

  validation {
    condition     = length(var.events) > 0
    error_message = "events must name at least one event: with none no job is let in. Write [\"push\", \"workflow_dispatch\"]."
  }

  validation {
    condition     = length(setsubtract(var.events, ["push", "workflow_dispatch", "schedule", "release", "repository_dispatch"])) == 0
    error_message = "events must be of push, workflow_dispatch, schedule, release and repository_dispatch, which only who may write to the repository starts. By pull_request, pull_request_target, workflow_run, issue_comment and every other event somebody else can start runs or feed them."
  }
}

variable "job_workflow_ref" {
  description = "The workflow file whose jobs are let in, with its ref: `OWNER/NAME/.github/workflows/FILE@refs/heads/BRANCH`, a tag or a commit. Of a job in a reusable workflow it is that one. Every workflow of the repository, where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.job_workflow_ref == null || can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}/\\.github/workflows/[A-Za-z0-9._-]+\\.ya?ml@(refs/(heads|tags)/[A-Za-z0-9._][A-Za-z0-9._/-]*|[0-9a-f]{40})$", var.job_workflow_ref))
    error_message = "job_workflow_ref must be one workflow file with its ref in full, as octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main, without wildcards."
  }
}

variable "audience" {
  description = "The audience that the job asks its token for; the provider's own full name, which Google's action asks for, where it is left out."
  type        = string
  default     = null

  validation {
    condition     = var.audience == null || can(regex("^[A-Za-z0-9._:/-]{1,256}$", var.audience))
    error_message = "audience must be one audience in full, without wildcards. Leave it out for google-github-actions/auth."
  }
}

variable "pool_id" {
  description = "The pool's id. It is this job's alone."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]{4,32}$", var.pool_id)) && !startswith(var.pool_id, "gcp-")
    error_message = "pool_id must be 4 to 32 of a-z, 0-9 and -, and not begin with gcp-, which Google keeps for itself."
  }
}

variable "account_id" {
  description = "The service account's id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account_id))
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
    error_message = "project_roles: the basic roles owner, editor and viewer are refused: they allow far more than a job needs. Write a predefined role, such as roles/storage.objectViewer."
  }

  validation {
    condition = !anytrue([for one in var.project_roles : anytrue([
      can(regex("^roles/iam\\.(serviceAccount|workloadIdentity|security|organizationRole|role|deny|principalAccessBoundary)", one.role)),
      can(regex("^roles/resourcemanager\\..*Admin$", one.role)),
    ])])
    error_message = "project_roles: roles that hand out or take on identities, such as roles/iam.serviceAccountTokenCreator and roles/resourcemanager.projectIamAdmin, are refused: with them the job could become another account."
  }
}
