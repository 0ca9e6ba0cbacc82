//! CircleCI (circleci.com/docs, "Using OpenID Connect tokens in jobs").
//!
//! A job that was run again with SSH has a human in it: it is exposed.

use super::reader::{Attributes, Reader, is_uuid};
use super::{Algorithm, IdentityFault, Known, Span};

const ROOT: &str = "https://oidc.circleci.com";

pub(super) fn known(organization: Option<&str>) -> Known {
    Known {
        issuer: organization
            .map(|organization| format!("{ROOT}/org/{organization}"))
            .ok_or("give `tenant`, the organization's id; for tokens of the root issuer `issuer`"),
        algorithms: &[Algorithm::Rs256],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: Some("an organization's id, a UUID in lower case"),
    }
}

pub(super) fn read(token: &Reader<'_>, organization: Option<&str>) -> Result<Attributes, IdentityFault> {
    let project = token.uuid("oidc.circleci.com/project-id")?;
    let subject = token.text("sub")?;
    let mut parts = subject.split('/');
    let (Some("org"), Some(org), Some("project"), Some(named)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(IdentityFault::Malformed("sub"));
    };
    let claimed = token.optional("oidc.circleci.com/org-id")?;
    let agree = named == project && claimed.is_none_or(|claimed| claimed == org);
    if !agree || !is_uuid(org) || organization.is_some_and(|organization| organization != org) {
        return Err(token.contradiction("sub", "oidc.circleci.com/project-id", subject));
    }
    let shell = token.flag("oidc.circleci.com/ssh-rerun")? == Some(true);
    let reference = token.optional("oidc.circleci.com/vcs-ref")?;
    Ok(Attributes::default()
        .put("platform", "circleci")
        .put("owner_id", org)
        .put("repository_id", project)
        .put_some("repository", token.optional("oidc.circleci.com/vcs-origin")?)
        .put_some("ref", reference)
        .put_some("run", token.optional("oidc.circleci.com/pipeline-id")?)
        .put_some("definition", token.optional("oidc.circleci.com/pipeline-definition-id")?)
        .put_some("job", token.optional("oidc.circleci.com/job-id")?)
        .put_some("contexts", token.get("oidc.circleci.com/context-ids").cloned())
        .expose(shell.then_some("ssh_rerun")))
}
