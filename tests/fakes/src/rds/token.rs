//! A login token, and all that must be true of it.

use super::{Authority, Instance};
use crate::sigv4::{Claim, Heard, Wrong, pairs};
use crate::sts::ACCOUNT;

/// Longer ones are refused. RDS gives no number.
pub(super) const LONGEST: usize = 8192;
/// The longest life in seconds.
const LIFE: i64 = 900;

const PARAMETERS: [&str; 9] = [
    "Action",
    "DBUser",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
];

/// Where and as whom somebody logs in, and when.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) instance: &'a Instance,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) now: i64,
}

/// Whether the token opens this login; else why not.
pub(super) fn verify(token: &str, login: &Login<'_>, authority: &dyn Authority) -> Result<(), String> {
    let Login { instance, port, user, now } = login;
    if token.len() > LONGEST {
        return Err(format!("a token of {} bytes, more than {LONGEST}", token.len()));
    }
    let (host, query) = token.split_once("/?").ok_or("not a token: it has no `/?`")?;
    if host != format!("{}:{port}", instance.host) {
        return Err("a token for another host or port".to_owned());
    }
    let parameters = pairs(query).ok_or("a token that is not percent-encoded")?;
    for (number, (name, _)) in parameters.iter().enumerate() {
        if !PARAMETERS.contains(&name.as_str()) {
            return Err("a token with an unknown parameter".to_owned());
        }
        if parameters.iter().skip(number + 1).any(|(other, _)| other == name) {
            return Err(format!("a token with `{name}` twice"));
        }
    }
    let value = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| format!("a token without `{name}`"))
    };
    if value("Action")? != "connect" {
        return Err("a token for another action".to_owned());
    }
    if value("DBUser")? != *user {
        return Err("a token for another user".to_owned());
    }
    if value("X-Amz-SignedHeaders")? != "host" {
        return Err("a token that signs something else than `host`".to_owned());
    }
    let headers = [("host".to_owned(), host.to_owned())];
    let heard = Heard { method: "GET", path: "/", query, headers: &headers, body: b"" };
    let claim = Claim::of(&heard).map_err(words)?;
    if claim.service != "rds-db" || claim.region != instance.region {
        return Err("a token for another service or region".to_owned());
    }
    if claim.expires.is_none_or(|seconds| seconds > LIFE) {
        return Err("a token that lives for more than 900 s".to_owned());
    }
    let resource = format!("arn:aws:rds-db:{}:{ACCOUNT}:dbuser:{}/{user}", instance.region, instance.resource);
    let keys = authority.admit(&claim.access_key, &resource)?;
    if keys.token != claim.token {
        return Err("a session token that is not the key's own".to_owned());
    }
    claim.verify(&heard, &keys.secret, *now, LIFE).map_err(words)
}

fn words(wrong: Wrong) -> String {
    match wrong {
        Wrong::Missing => "a token without a signature".to_owned(),
        Wrong::Malformed(what) | Wrong::Mismatch(what) | Wrong::Time(what) => what,
    }
}
