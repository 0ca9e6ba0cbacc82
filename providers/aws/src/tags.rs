//! Session tags: what AWS is told of a writ beside its id. They stand in CloudTrail's entry of the issuance and can be
//! conditions of the account's own policies (`aws:PrincipalTag/writ:target`).
//!
//! What comes from outside is written as it is where AWS can write it at all; else its digest stands for it, so that two
//! subjects never look alike.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use writ_core::writ::Writ;

use crate::config::ConfigFault;
use crate::region::shown;

/// How many tags a session can have.
const MOST: usize = 50;
/// The longest key, in characters.
const LONGEST_KEY: usize = 128;
/// The longest value, in characters.
const LONGEST_VALUE: usize = 256;
/// What the keys of Writ's own begin with.
const OWN: &str = "writ:";
/// How many of its own there are.
const OWN_COUNT: usize = 7;
/// How many digits of the policy's hash are told.
const SHORT_HASH: usize = 16;
/// What stands before a digest. A text that begins with it is digested too.
const DIGEST: &str = "sha256:";

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// Checks tags of the operator's own.
pub(crate) fn validate(tags: &Tags) -> Result<(), ConfigFault> {
    let wrong = |key: &str, why: &str| Err(ConfigFault::new(format!("`tags`: `{}` {why}", shown(key))));
    if tags.len() > MOST - OWN_COUNT {
        let text = format!("`tags` has {}: write at most {}, as AWS takes {MOST}", tags.len(), MOST - OWN_COUNT);
        return Err(ConfigFault::new(text));
    }
    let mut seen = BTreeSet::new();
    for (key, value) in tags {
        let lower = key.to_lowercase();
        if !(1..=LONGEST_KEY).contains(&key.chars().count()) || !key.chars().all(allowed) {
            return wrong(key, "cannot be a key: write 1 to 128 letters and digits of ASCII, spaces or `_.:/=+-@`");
        }
        if lower.starts_with("aws:") || lower.starts_with(OWN) {
            return wrong(key, "begins with `aws:` or `writ:`, which belong to AWS and Writ: write another key");
        }
        if value.chars().count() > LONGEST_VALUE || !value.chars().all(allowed) {
            return wrong(
                key,
                "has a value that no tag can have: write at most 256 letters and digits of ASCII, spaces or `_.:/=+-@`",
            );
        }
        if !seen.insert(lower) {
            return wrong(key, "is there twice: AWS does not tell capitals from small letters in keys");
        }
    }
    Ok(())
}

/// The tags of a writ's session, beside the operator's.
pub(crate) fn of_writ(writ: &Writ, own: &Tags) -> Tags {
    let workload = hex(digest(&SHA256, format!("{}\n{}", writ.issuer, writ.subject).as_bytes()).as_ref(), 16);
    let policy = writ.policy_hash.as_str();
    let told: [(&str, String); OWN_COUNT] = [
        ("id", writ.id.to_string()),
        ("session", writ.session.to_string()),
        ("target", writ.target.to_string()),
        ("workload", workload),
        ("issuer", told(writ.issuer.as_str())),
        ("subject", told(writ.subject.as_str())),
        ("policy", told(policy.get(..SHORT_HASH).unwrap_or(policy))),
    ];
    let told = told.into_iter().map(|(key, value)| (format!("{OWN}{key}"), value));
    own.clone().into_iter().chain(told).collect()
}

/// `text` where AWS can write it, else its digest.
fn told(text: &str) -> String {
    let plain = text.chars().count() <= LONGEST_VALUE && text.chars().all(allowed) && !text.starts_with(DIGEST);
    if plain { text.to_owned() } else { format!("{DIGEST}{}", hex(digest(&SHA256, text.as_bytes()).as_ref(), 32)) }
}

/// AWS takes letters, separators and digits of any script; only those of ASCII are taken here, which nobody doubts.
fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)
}

/// The first so many bytes, in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|byte| format!("{byte:02x}")).collect()
}
