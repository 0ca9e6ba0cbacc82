//! Bitbucket Pipelines (support.atlassian.com, "Integrate Pipelines with resource servers using OIDC").
//!
//! Everything is named by UUID, in braces, and so never given again.

use super::reader::{Attributes, Reader, is_uuid};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known(workspace: Option<&str>) -> Known {
    Known {
        issuer: workspace
            .map(|name| format!("https://api.bitbucket.org/2.0/workspaces/{name}/pipelines-config/identity/oidc"))
            .ok_or("give `tenant`, the workspace's name in its address"),
        algorithms: &[Algorithm::Rs256],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: Some("a workspace's name, as in its address"),
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let repository = braced(token, "repositoryUuid")?;
    let (workspace, step) = (braced(token, "workspaceUuid")?, braced(token, "stepUuid")?);
    let environment = token.get("deploymentEnvironmentUuid").map(|_| braced(token, "deploymentEnvironmentUuid"));
    let environment = environment.transpose()?;
    let subject = token.text("sub")?;
    let expected = match environment {
        Some(environment) => format!("{repository}:{environment}:{step}"),
        None => format!("{repository}:{step}"),
    };
    if subject != expected {
        return Err(token.contradiction("sub", "repositoryUuid", subject));
    }
    let branch = token.optional("branchName")?;
    Ok(Attributes::default()
        .put("platform", "bitbucket")
        .put("owner_id", workspace)
        .put("repository_id", repository)
        .put_some("ref", branch.map(|branch| format!("refs/heads/{branch}")))
        .put_some("ref_type", branch.map(|_| "branch"))
        .put_some("environment", environment)
        .put_some("run", token.optional("pipelineUuid")?)
        .put("job", step))
}

/// A UUID in braces.
fn braced<'c>(token: &Reader<'c>, claim: &'static str) -> Result<&'c str, IdentityFault> {
    let text = token.text(claim)?;
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    if inner.is_some_and(is_uuid) { Ok(text) } else { Err(IdentityFault::Malformed(claim)) }
}
