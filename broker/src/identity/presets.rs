//! Presets: what is known of an issuer without being told. A preset gives the issuer's address, its algorithms and limits,
//! checks that a token has the form that this issuer gives its tokens, and maps its claims to named attributes, which are
//! alike for all issuers of a family.
//!
//! A preset never widens anything: signature, audience and times are checked before, by the same code for every issuer. It
//! refuses what the issuer would not have written, and marks what the workload is exposed to, so that policy has to say
//! that it accepts it.

mod aws;
mod azure;
mod bitbucket;
mod buildkite;
mod circleci;
mod gcp;
mod github;
mod gitlab;
mod kubernetes;
mod reader;
mod spiffe;
mod terraform;

use serde::{Deserialize, Serialize};

use super::config::{Algorithm, IssuerConfig};
use super::fault::IdentityFault;
use super::json::Object;
use crate::duration::Span;
use reader::{Attributes, Reader};

/// An issuer that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// GitHub Actions, on github.com, with an enterprise's own address, with data residency, or on GitHub Enterprise Server.
    GithubActions,
    /// A Kubernetes cluster's projected service account tokens.
    Kubernetes,
    /// GitLab CI, on gitlab.com or self-managed.
    Gitlab,
    /// Outbound identity federation of an AWS account (`sts:GetWebIdentityToken`).
    Aws,
    /// Roles and users of AWS accounts, by a presigned `sts:GetCallerIdentity`.
    AwsCaller,
    /// Identity tokens of Google Cloud's metadata servers.
    Gcp,
    /// Managed identities of Microsoft Entra.
    Azure,
    /// JWT-SVIDs of a SPIFFE trust domain.
    Spiffe,
    /// Buildkite.
    Buildkite,
    /// CircleCI.
    Circleci,
    /// Bitbucket Pipelines.
    Bitbucket,
    /// HCP Terraform (Terraform Cloud) and Terraform Enterprise.
    TerraformCloud,
}

/// What a preset knows before any token.
pub(super) struct Known {
    /// The `iss` claim, where the preset can tell.
    pub(super) issuer: Result<String, &'static str>,
    /// What it signs with.
    pub(super) algorithms: &'static [Algorithm],
    /// How long its tokens live at most.
    pub(super) max_lifetime: Span,
    /// Other hosts that serve its keys.
    pub(super) jwks_hosts: &'static [&'static str],
    /// What `tenant` means here; none where it means nothing.
    pub(super) tenant: Option<&'static str>,
}

impl Preset {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::GithubActions,
        Self::Kubernetes,
        Self::Gitlab,
        Self::Aws,
        Self::AwsCaller,
        Self::Gcp,
        Self::Azure,
        Self::Spiffe,
        Self::Buildkite,
        Self::Circleci,
        Self::Bitbucket,
        Self::TerraformCloud,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::Kubernetes => "kubernetes",
            Self::Gitlab => "gitlab",
            Self::Aws => "aws",
            Self::AwsCaller => "aws-caller",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Spiffe => "spiffe",
            Self::Buildkite => "buildkite",
            Self::Circleci => "circleci",
            Self::Bitbucket => "bitbucket",
            Self::TerraformCloud => "terraform-cloud",
        }
    }

    /// The object of attributes that it adds to the claims: `ci.repository` is the member `repository` of `ci`.
    #[must_use]
    pub const fn space(self) -> &'static str {
        match self {
            Self::GithubActions
            | Self::Gitlab
            | Self::Buildkite
            | Self::Circleci
            | Self::Bitbucket
            | Self::TerraformCloud => "ci",
            Self::Kubernetes => "kubernetes",
            Self::Aws | Self::AwsCaller => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Spiffe => "spiffe",
        }
    }

    /// What it knows, for a tenant where it has tenants.
    pub(super) fn known(self, tenant: Option<&str>) -> Known {
        match self {
            Self::GithubActions => github::known(tenant),
            Self::Kubernetes => kubernetes::known(),
            Self::Gitlab => gitlab::known(),
            Self::Aws => aws::known(),
            Self::AwsCaller => aws::caller_known(),
            Self::Gcp => gcp::known(),
            Self::Azure => azure::known(tenant),
            Self::Spiffe => spiffe::known(tenant),
            Self::Buildkite => buildkite::known(),
            Self::Circleci => circleci::known(tenant),
            Self::Bitbucket => bitbucket::known(tenant),
            Self::TerraformCloud => terraform::known(),
        }
    }

    /// Fills in what the configuration leaves out.
    ///
    /// # Errors
    /// What the configuration has to say, and does not, or says and should not.
    pub(super) fn fill(self, config: &mut IssuerConfig) -> Result<(), String> {
        let known = self.known(config.tenant.as_deref());
        if let (Some(tenant), None) = (&config.tenant, known.tenant) {
            return Err(format!(
                "`tenant` is `{}`, but `{}` has none: remove it",
                super::fault::shown(tenant),
                self.name()
            ));
        }
        if config.tenant.as_deref().is_some_and(|tenant| !is_tenant(tenant)) {
            return Err(format!("`tenant` is not {}", known.tenant.unwrap_or("a name")));
        }
        if config.issuer.is_empty() {
            config.issuer = known.issuer.map_err(|problem| format!("preset `{}`: {problem}", self.name()))?;
        }
        if config.algorithms.is_empty() {
            config.algorithms = known.algorithms.to_vec();
        }
        config.max_lifetime.get_or_insert(known.max_lifetime);
        config.jwks_hosts.extend(known.jwks_hosts.iter().map(|host| (*host).to_owned()));
        Ok(())
    }

    /// Checks that a token is as this issuer writes them, and adds its named attributes to the claims. Called only after
    /// signature, audience and times were verified.
    ///
    /// # Errors
    /// [`IdentityFault`] for what this issuer would not have written.
    pub(super) fn apply(self, claims: &mut Object, tenant: Option<&str>) -> Result<(), IdentityFault> {
        let reader = Reader::new(claims, self.name());
        if claims.contains_key(self.space()) {
            return Err(reader.refuse(format!("its claim `{}` stands where the preset's attributes do", self.space())));
        }
        let attributes: Attributes = match self {
            Self::GithubActions => github::read(&reader, tenant),
            Self::Kubernetes => kubernetes::read(&reader),
            Self::Gitlab => gitlab::read(&reader),
            Self::Aws => aws::read(&reader),
            Self::AwsCaller => Err(reader.refuse("no token is: its workloads sign a request")),
            Self::Gcp => gcp::read(&reader),
            Self::Azure => azure::read(&reader, tenant),
            Self::Spiffe => spiffe::read(&reader, tenant),
            Self::Buildkite => buildkite::read(&reader),
            Self::Circleci => circleci::read(&reader, tenant),
            Self::Bitbucket => bitbucket::read(&reader),
            Self::TerraformCloud => terraform::read(&reader),
        }?;
        claims.insert(self.space().to_owned(), attributes.into_value());
        Ok(())
    }
}

/// A name that may stand in an address without being encoded.
fn is_tenant(tenant: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=255).contains(&tenant.len()) && tenant.bytes().all(plain) && !tenant.starts_with('.')
}

/// The trust domain and the path of a SPIFFE ID that names a workload.
pub(super) fn spiffe_id(id: &str) -> Option<(&str, &str)> {
    spiffe::parse(id)
}

/// The trust domain of a subject that is a SPIFFE ID.
pub(super) fn trust_domain(subject: &str) -> Option<&str> {
    spiffe::parse(subject).map(|(domain, _)| domain)
}
