//! GitHub Actions (docs.github.com, "OpenID Connect reference").
//!
//! `sub` is not to be parsed by policies: its form changes with the repository's settings, and names are given again to
//! others. Where it names a repository, by name or by the immutable form with numbers, it must agree with the claims.

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const EVENTS_OF_OUTSIDERS: [&str; 3] = ["pull_request", "pull_request_target", "workflow_run"];

pub(super) fn known(enterprise: Option<&str>) -> Known {
    Known {
        issuer: Ok(enterprise.map_or_else(|| ISSUER.to_owned(), |slug| format!("{ISSUER}/{slug}"))),
        algorithms: &[Algorithm::Rs256],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: Some("an enterprise's slug, such as `octo-enterprise`"),
    }
}

pub(super) fn read(token: &Reader<'_>, enterprise: Option<&str>) -> Result<Attributes, IdentityFault> {
    let (repository, owner) = (token.text("repository")?, token.text("repository_owner")?);
    let (repository_id, owner_id) = (token.digits("repository_id")?, token.digits("repository_owner_id")?);
    let of_owner = repository.split_once('/').filter(|(of, name)| *of == owner && is_name(name) && is_name(of));
    if of_owner.is_none() {
        return Err(token.contradiction("repository", "repository_owner", repository));
    }
    if !names(token.text("sub")?, repository, owner_id, repository_id) {
        return Err(token.contradiction("sub", "repository", token.text("sub")?));
    }
    if let (Some(slug), Some(named)) = (enterprise, token.optional("enterprise")?)
        && slug != named
    {
        return Err(token.refuse(format!("its enterprise is not `{slug}`")));
    }
    let event = token.text("event_name")?;
    let definition = token.text("job_workflow_ref")?;
    let (path, at) = workflow(definition).ok_or(IdentityFault::Malformed("job_workflow_ref"))?;
    let (entry, _) = workflow(token.text("workflow_ref")?).ok_or(IdentityFault::Malformed("workflow_ref"))?;
    let reference = token.text("ref")?;
    let own_host = token.one_of("runner_environment", &["github-hosted", "self-hosted"])? == "self-hosted";
    Ok(Attributes::default()
        .put("platform", "github")
        .put("owner", owner)
        .put("owner_id", owner_id)
        .put("repository", repository)
        .put("repository_id", repository_id)
        .put_some("visibility", token.optional("repository_visibility")?)
        .put("ref", reference)
        .put_some("ref_type", token.optional("ref_type")?)
        .put_some("ref_protected", token.flag("ref_protected")?)
        .put_some("environment", token.optional("environment")?)
        .put("event", event)
        .put("workflow", entry)
        .put("definition", path)
        .put("definition_ref", at)
        .put_some("definition_sha", token.optional("job_workflow_sha")?)
        .put_some("commit", token.optional("sha")?)
        .put_some("actor", token.optional("actor")?)
        .put_some("actor_id", token.optional("actor_id")?)
        .put("run", token.digits("run_id")?)
        .put("self_hosted", own_host)
        .expose(EVENTS_OF_OUTSIDERS.into_iter().find(|outsiders| *outsiders == event)))
}

/// `OWNER/REPO/.github/workflows/FILE@REF`: the path and the reference.
fn workflow(text: &str) -> Option<(&str, &str)> {
    let (path, at) = text.split_once('@')?;
    (path.contains("/.github/workflows/") && !at.is_empty()).then_some((path, at))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(plain)
}

/// Whether a subject that names a repository names this one. A subject made of other claims names none.
fn names(subject: &str, repository: &str, owner_id: &str, repository_id: &str) -> bool {
    let Some(rest) = subject.strip_prefix("repo:") else { return true };
    let named = rest.split(':').next().unwrap_or_default();
    let Some((owner, name)) = repository.split_once('/') else { return false };
    named == repository || named == format!("{owner}@{owner_id}/{name}@{repository_id}")
}
