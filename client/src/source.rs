//! The places where a workload's token may come from, by name, in the order in which they are looked at.

use core::fmt;

/// A place where tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A file that `WRIT_TOKEN_FILE` names.
    File,
    /// A job of GitHub Actions.
    GithubActions,
    /// A job of GitLab CI.
    Gitlab,
    /// A job of Buildkite.
    Buildkite,
    /// A job of CircleCI.
    Circleci,
    /// A step of Bitbucket Pipelines.
    Bitbucket,
    /// A run of HCP Terraform or Terraform Enterprise.
    TerraformCloud,
    /// A pod with a token that was projected for Writ.
    Kubernetes,
    /// A workload of a SPIFFE trust domain.
    Spiffe,
    /// A role of AWS.
    Aws,
    /// A service account of Google Cloud.
    Gcp,
    /// A managed identity of Azure.
    Azure,
}

impl Source {
    /// All, in the order in which they are looked at: what was set up for this workload before what its platform gives it, and that
    /// before what the machine has.
    pub const ALL: [Self; 12] = [
        Self::File,
        Self::GithubActions,
        Self::Gitlab,
        Self::Buildkite,
        Self::Circleci,
        Self::Bitbucket,
        Self::TerraformCloud,
        Self::Kubernetes,
        Self::Spiffe,
        Self::Aws,
        Self::Gcp,
        Self::Azure,
    ];

    /// Its name: but for `file`, that of the broker's preset for such tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::GithubActions => "github-actions",
            Self::Gitlab => "gitlab",
            Self::Buildkite => "buildkite",
            Self::Circleci => "circleci",
            Self::Bitbucket => "bitbucket",
            Self::TerraformCloud => "terraform-cloud",
            Self::Kubernetes => "kubernetes",
            Self::Spiffe => "spiffe",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }

    /// Whether it gives another token each time, where others give the same one again, or to others too.
    #[must_use]
    pub const fn gives_new_tokens(self) -> bool {
        matches!(self, Self::GithubActions | Self::Buildkite | Self::Aws)
    }

    /// The source of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
