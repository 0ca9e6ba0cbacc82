//! Tokens of Microsoft Entra for managed identities and service principals (learn.microsoft.com, "Access token claims
//! reference").
//!
//! Only tokens that an application got for itself are let in: a user's token, which has a scope, is refused. Entra gives
//! tokens of version 1 or 2 as the resource asks for; their issuers differ.

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known(tenant: Option<&str>) -> Known {
    Known {
        issuer: tenant
            .map(|tenant| format!("https://sts.windows.net/{tenant}/"))
            .ok_or("give `tenant`, the directory's id; for tokens of version 2 also `issuer`"),
        algorithms: &[Algorithm::Rs256],
        // Tokens of managed identities live for up to a day.
        max_lifetime: Span::seconds(24 * 3600 + 600),
        jwks_hosts: &["login.windows.net", "login.microsoftonline.com"],
        tenant: Some("a directory's id, a UUID in lower case"),
    }
}

pub(super) fn read(token: &Reader<'_>, tenant: Option<&str>) -> Result<Attributes, IdentityFault> {
    let (of, issuer) = (token.uuid("tid")?, token.text("iss")?);
    let expected = match token.one_of("ver", &["1.0", "2.0"])? {
        "1.0" => format!("https://sts.windows.net/{of}/"),
        _ => format!("https://login.microsoftonline.com/{of}/v2.0"),
    };
    if issuer != expected || tenant.is_some_and(|tenant| tenant != of) {
        return Err(token.contradiction("iss", "tid", issuer));
    }
    if token.get("scp").is_some() || token.optional("idtyp")?.is_some_and(|kind| kind != "app") {
        return Err(token.refuse("it is a user's: only an application's own token opens anything"));
    }
    let (object, subject) = (token.uuid("oid")?, token.text("sub")?);
    if subject != object {
        return Err(token.contradiction("sub", "oid", subject));
    }
    let application = token.optional("appid")?.or(token.optional("azp")?).ok_or(IdentityFault::Missing("appid"))?;
    Ok(Attributes::default()
        .put("tenant", of)
        .put("object_id", object)
        .put("application", application)
        .put_some("identity", token.optional("xms_mirid")?)
        .put_some("resource", token.optional("xms_az_rid")?))
}
