//! Identity tokens of Google Cloud's metadata servers (cloud.google.com, "Verify VM identity").
//!
//! The issuer signs for every Google account there is: only service accounts are let in, and a policy must name which. A
//! token is given out again until it nears its end, so that it has no `jti`, and the same one may come twice.

use serde_json::Value;

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known() -> Known {
    Known {
        issuer: Ok("https://accounts.google.com".to_owned()),
        algorithms: &[Algorithm::Rs256],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &["www.googleapis.com"],
        tenant: None,
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let id = token.digits("sub")?;
    if token.text("azp")? != id {
        return Err(token.contradiction("azp", "sub", token.text("azp")?));
    }
    let email = token.text("email")?;
    if token.flag("email_verified")? != Some(true) {
        return Err(token.refuse("its `email` is not verified"));
    }
    if !email.ends_with(".gserviceaccount.com") {
        return Err(token.refuse("it is no service account's: a human's token opens nothing"));
    }
    let project = email.split_once('@').and_then(|(_, host)| host.strip_suffix(".iam.gserviceaccount.com"));
    let mut attributes = Attributes::default()
        .put("service_account", email)
        .put("service_account_id", id)
        .put_some("service_account_project", project);
    if let Some(google) = token.object("google")?
        && let Some(engine) = google.object("compute_engine")?
    {
        let number = match engine.get("project_number") {
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(IdentityFault::Malformed("project_number")),
        };
        attributes = attributes
            .put("project", engine.text("project_id")?)
            .put("project_number", number)
            .put("zone", engine.text("zone")?)
            .put("instance", engine.text("instance_name")?)
            .put("instance_id", engine.digits("instance_id")?)
            .put_some("confidential", engine.bit("instance_confidentiality")?);
    }
    Ok(attributes)
}
