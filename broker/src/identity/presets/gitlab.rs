//! GitLab CI (docs.gitlab.com, "OpenID Connect (OIDC) Authentication Using ID Tokens").
//!
//! Project paths are given again after a rename or a deletion, `project_id` is not. Pipelines of merge requests may run
//! what somebody from a fork wrote.

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known() -> Known {
    Known {
        issuer: Ok("https://gitlab.com".to_owned()),
        algorithms: &[Algorithm::Rs256],
        // Tokens live as long as their job may.
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: None,
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let (path, id) = (token.text("project_path")?, token.digits("project_id")?);
    let (namespace, namespace_id) = (token.text("namespace_path")?, token.digits("namespace_id")?);
    let inside = path.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
    if !inside {
        return Err(token.contradiction("project_path", "namespace_path", path));
    }
    let subject = token.text("sub")?;
    let names = match subject.split_once(':') {
        Some(("project_path", rest)) => rest.split(':').next() == Some(path),
        Some(("project_id", rest)) => rest.split(':').next() == Some(id),
        // GitLab puts one of the two first, whatever else a project chose.
        _ => false,
    };
    if !names {
        return Err(token.contradiction("sub", "project_path", subject));
    }
    let source = token.text("pipeline_source")?;
    let exposed = matches!(source, "merge_request_event" | "external_pull_request_event");
    let runner = token.one_of("runner_environment", &["gitlab-hosted", "self-hosted"])?;
    Ok(Attributes::default()
        .put("platform", "gitlab")
        .put("owner", namespace)
        .put("owner_id", namespace_id)
        .put("repository", path)
        .put("repository_id", id)
        .put_some("visibility", token.optional("project_visibility")?)
        .put("ref", built(token)?)
        .put("ref_type", token.one_of("ref_type", &["branch", "tag"])?)
        .put_some("ref_protected", token.flag("ref_protected")?)
        .put_some("environment", token.optional("environment")?)
        .put_some("environment_protected", token.flag("environment_protected")?)
        .put("event", source)
        .put_some("definition", token.optional("ci_config_ref_uri")?)
        .put_some("definition_sha", token.optional("ci_config_sha")?)
        .put_some("commit", token.optional("sha")?)
        .put_some("actor", token.optional("user_login")?)
        .put_some("actor_id", token.optional("user_id")?)
        .put("run", token.digits("pipeline_id")?)
        .put("self_hosted", runner == "self-hosted")
        .expose(exposed.then_some("merge_request")))
}

/// What was built, in the form of all CI systems: `refs/heads/main`. GitLab's own `ref` is bare, and the same for a branch and a
/// tag of one name; `ref_path` is missing in tokens of servers before 16.0.
fn built(token: &Reader<'_>) -> Result<String, IdentityFault> {
    let (bare, kind) = (token.text("ref")?, token.one_of("ref_type", &["branch", "tag"])?);
    let derived = if kind == "branch" { format!("refs/heads/{bare}") } else { format!("refs/tags/{bare}") };
    match token.optional("ref_path")? {
        None => Ok(derived),
        Some(path) if path == derived => Ok(derived),
        // A merge request's pipeline is of its own ref, and of its source branch by name.
        Some(path) if path.starts_with("refs/merge-requests/") => Ok(path.to_owned()),
        Some(path) => Err(token.contradiction("ref_path", "ref", path)),
    }
}
