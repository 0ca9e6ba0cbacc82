//! Who signed a request.

use super::Cloud;
use super::account::Caller;
use super::refusal::Refusal;
use crate::sigv4::{Claim, Heard, SKEW};

/// Verifies a claim: its key is known and its session lives, the token is the key's own, the host is one of the service's, and
/// the signature is of this request.
pub(super) fn caller(cloud: &Cloud, claim: &Claim, heard: &Heard<'_>) -> Result<Caller, Refusal> {
    let now = cloud.clock.now();
    let (caller, keys) = cloud.account().caller(&claim.access_key, now)?;
    if keys.token != claim.token {
        let words = "The security token included in the request is invalid.";
        return Err(Refusal::new(403, "InvalidClientTokenId", words));
    }
    let host = heard.header("host").unwrap_or_default();
    if !cloud.hosts.iter().any(|known| known == host) && !is_aws(host, &claim.service, &claim.region) {
        let words = format!("`{host}` is no host of `{}` in `{}`", claim.service, claim.region);
        return Err(Refusal::new(403, "SignatureDoesNotMatch", words));
    }
    if !REGIONS.contains(&claim.region.as_str()) || (claim.service == "iam" && claim.region != "us-east-1") {
        let words = "Credential should be scoped to a valid region.";
        return Err(Refusal::new(403, "SignatureDoesNotMatch", words));
    }
    claim.verify(heard, &keys.secret, now, longest(&claim.service))?;
    Ok(caller)
}

/// STS takes what was presigned for it for 15 minutes from its date, however long it says that it lives.
fn longest(service: &str) -> i64 {
    if service == "s3" { 604_800 } else { SKEW }
}

const REGIONS: [&str; 6] = ["us-east-1", "us-east-2", "us-west-2", "eu-central-1", "eu-west-1", "ap-southeast-2"];

fn is_aws(host: &str, service: &str, region: &str) -> bool {
    let global = host == format!("{service}.amazonaws.com") && region == "us-east-1";
    global || host == format!("{service}.{region}.amazonaws.com")
}
