//! Buildkite (buildkite.com, "buildkite-agent oidc").

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known() -> Known {
    Known {
        issuer: Ok("https://agent.buildkite.com".to_owned()),
        algorithms: &[Algorithm::Rs256],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: None,
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let (organization, pipeline) = (token.text("organization_slug")?, token.text("pipeline_slug")?);
    let subject = token.text("sub")?;
    if let Some(rest) = subject.strip_prefix("organization:") {
        let named = rest.strip_prefix(organization).and_then(|rest| rest.strip_prefix(":pipeline:"));
        if named.is_none_or(|rest| rest.split(':').next() != Some(pipeline)) {
            return Err(token.contradiction("sub", "pipeline_slug", subject));
        }
    }
    let branch = token.text("build_branch")?;
    let tag = token.optional("build_tag")?;
    Ok(Attributes::default()
        .put("platform", "buildkite")
        .put("owner", organization)
        .put_some("owner_id", token.optional("organization_id")?)
        .put("repository", format!("{organization}/{pipeline}"))
        .put_some("repository_id", token.optional("pipeline_id")?)
        .put("ref", tag.map_or_else(|| format!("refs/heads/{branch}"), |tag| format!("refs/tags/{tag}")))
        .put("ref_type", if tag.is_some() { "tag" } else { "branch" })
        .put_some("event", token.optional("build_source")?)
        .put_some("commit", token.optional("build_commit")?)
        .put_some("step", token.optional("step_key")?)
        .put_some("queue", token.optional("queue_key")?)
        .put("job", token.text("job_id")?)
        .put_some("self_hosted", token.optional("runner_environment")?.map(|runner| runner == "self-hosted"))
        // The branch of a fork, where the pipeline has Buildkite name the forks' owners.
        .expose(branch.contains(':').then_some("pull_request")))
}
