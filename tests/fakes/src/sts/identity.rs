//! GetCallerIdentity, which needs no permission and which no policy can deny.

use serde_json::json;

use super::account::{ACCOUNT, Caller};
use super::query::Params;
use super::refusal::Refusal;
use super::{Cloud, answer, authenticate};
use crate::sigv4::{Claim, Heard};

pub(super) fn answer(caller: &Caller) -> String {
    answer::text("Arn", &caller.arn) + &answer::text("UserId", &caller.user_id) + &answer::text("Account", ACCOUNT)
}

/// The JSON that STS gives to whoever accepts it, as EKS's authenticator does.
pub(super) fn json(caller: &Caller, id: &str) -> String {
    json!({ "GetCallerIdentityResponse": {
        "GetCallerIdentityResult": { "Account": ACCOUNT, "Arn": caller.arn, "UserId": caller.user_id },
        "ResponseMetadata": { "RequestId": id },
    }})
    .to_string()
}

/// What is left of a presigned request's query once the signature's parts are taken.
pub(super) fn unsigned(query: &str) -> String {
    query.split('&').filter(|part| !part.starts_with("X-Amz-")).collect::<Vec<_>>().join("&")
}

/// The ARN behind a presigned URL.
pub(super) fn presigned(cloud: &Cloud, url: &str, headers: &[(&str, &str)]) -> Result<String, Refusal> {
    let malformed = || Refusal::validation("not a presigned URL of STS");
    let (host, query) = url.split_once("://").and_then(|(_, rest)| rest.split_once("/?")).ok_or_else(malformed)?;
    let mut all = vec![("host".to_owned(), host.to_owned())];
    all.extend(headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())));
    let heard = Heard { method: "GET", path: "/", query, headers: &all, body: b"" };
    let claim = Claim::of(&heard)?;
    if claim.service != "sts" || claim.expires.is_none() {
        return Err(malformed());
    }
    let caller = authenticate::caller(cloud, &claim, &heard)?;
    let mut params = Params::parse(&unsigned(query))?;
    let asked = (params.required("Action")?, params.required("Version")?);
    params.finish()?;
    if asked != ("GetCallerIdentity".to_owned(), "2011-06-15".to_owned()) {
        return Err(malformed());
    }
    Ok(caller.arn)
}
