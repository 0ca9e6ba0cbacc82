//! Approvals: what a gateway asks, what humans answer, and the digest that both are bound to.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use writ_core::approval::{ApprovalState, AskedParameter};
use writ_core::grant::PolicyHash;
use writ_core::id::{ApprovalId, SessionId};
use writ_core::statement::Fingerprint;
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};

/// A question about one held command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    /// The session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// The database.
    pub database: String,
    /// The schemas in which the server looks for names that state none, in any order, as far as the gateway knows.
    pub schemas: Vec<String>,
    /// The statement, as it will run.
    pub statement: String,
    /// Its parameters.
    #[schema(value_type = Vec<Object>)]
    pub parameters: Vec<AskedParameter>,
    /// What it is, its literals apart: 16 bytes; zero where no window may cover it.
    #[schema(value_type = Vec<u8>)]
    pub fingerprint: Fingerprint,
    /// The digest of it all by [`digest`], in hexadecimal: the broker makes its own and compares.
    pub digest: String,
    /// The policies that hold it.
    pub policies: Vec<String>,
    /// The policy set that decided.
    #[schema(value_type = String)]
    pub policy_hash: PolicyHash,
    /// The groups of whose members any may answer; empty: every approver.
    pub groups: Vec<String>,
    /// How many have to approve.
    pub needed: u32,
    /// How long the command waits, in seconds.
    pub timeout_seconds: u64,
}

/// What a gateway is told of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalReply {
    /// Its name.
    #[schema(value_type = String)]
    pub approval: ApprovalId,
    /// Where it stands.
    #[schema(value_type = String)]
    pub state: ApprovalState,
    /// Why it was denied, where it was.
    pub reason: Option<String>,
    /// Where a human answers it.
    pub place: String,
    /// How long it may still be answered, in seconds by the broker's clock.
    #[serde(default)]
    pub remaining_seconds: u64,
}

/// A human's answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// Whether they approve.
    pub approve: bool,
    /// Why, in their words; it goes to the ledger. 1 to 200 characters.
    pub reason: String,
    /// The digest of what they saw, in hexadecimal.
    pub digest: String,
    /// Whether statements like it are approved too, and for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRequest>,
}

/// For how long, and how often, statements like it are approved without another question.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// For how long, in seconds: at most a day.
    pub seconds: u64,
    /// How often, this one not counted: at most 1,000.
    pub times: u32,
}

/// A human lets what is asked about go on alone, in an emergency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRequest {
    /// Why, in their words; it goes to the ledger. 1 to 200 characters.
    pub reason: String,
    /// The digest of what they saw, in hexadecimal.
    pub digest: String,
}

/// A human reviews a glass that another broke.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// Whether it was right.
    pub justified: bool,
    /// Why, in their words; it goes to the ledger. 1 to 200 characters.
    pub reason: String,
    /// The digest of what they saw, in hexadecimal.
    pub digest: String,
}

/// Which approvals to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ApprovalsQuery {
    /// Settled ones too.
    #[serde(default)]
    pub all: bool,
    /// Only those of which reviews are due, since one human let them go on alone.
    #[serde(default)]
    pub to_review: bool,
}

/// Whom and what a question is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Who vouches for the workload.
    pub issuer: &'a Issuer,
    /// The workload.
    pub subject: &'a Subject,
    /// The target.
    pub target: &'a TargetName,
    /// The role that the session acts as there.
    pub role: Option<&'a str>,
    /// The database.
    pub database: &'a str,
    /// The schemas in which the server looks for names that state none.
    pub schemas: &'a [String],
}

/// SHA-256, in hexadecimal, over all that a command's approval is bound to: workload, target, role, database, schemas, statement, parameters,
/// policy set. Each part stands with its length before it, so that no two questions give the same bytes.
#[must_use]
pub fn digest(about: &About<'_>, statement: &str, parameters: &[AskedParameter], policy_hash: &PolicyHash) -> String {
    bound(b"writ approval v2", about, statement, parameters, policy_hash)
}

/// The same of a connection's approval: what it would be, in words, and the token that was shown, by the key of its uses. It is no command's.
#[must_use]
pub fn connection_digest(about: &About<'_>, words: &str, token: &str, policy_hash: &PolicyHash) -> String {
    let token = AskedParameter { type_id: 0, binary: false, value: Some(token.to_owned()) };
    bound(b"writ connection approval v1", about, words, &[token], policy_hash)
}

fn bound(
    form: &[u8],
    about: &About<'_>,
    statement: &str,
    parameters: &[AskedParameter],
    policy_hash: &PolicyHash,
) -> String {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    part(form);
    part(about.issuer.as_str().as_bytes());
    part(about.subject.as_str().as_bytes());
    part(about.target.as_str().as_bytes());
    part(about.role.map_or(&[], str::as_bytes));
    part(&[u8::from(about.role.is_some())]);
    part(about.database.as_bytes());
    part(&(about.schemas.len() as u64).to_be_bytes());
    about.schemas.iter().for_each(|schema| part(schema.as_bytes()));
    part(policy_hash.as_str().as_bytes());
    part(statement.as_bytes());
    for parameter in parameters {
        let form = match (&parameter.value, parameter.binary) {
            (None, _) => b"null".as_slice(),
            (Some(_), false) => b"text",
            (Some(_), true) => b"binary",
        };
        part(form);
        part(&parameter.type_id.to_be_bytes());
        part(parameter.value.as_deref().unwrap_or_default().as_bytes());
    }
    let finished = context.finish();
    finished.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.extend([byte >> 4, byte & 15].map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0')));
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::{About, connection_digest, digest};
    use writ_core::approval::AskedParameter;
    use writ_core::grant::PolicyHash;
    use writ_core::target::TargetName;
    use writ_core::workload::{Issuer, Subject};

    #[test]
    fn the_digest_tells_every_part_from_every_other() {
        let (issuer, target) = (Issuer::new("https://i"), TargetName::new("t").unwrap());
        let parameter =
            |value: Option<&str>, binary| AskedParameter { type_id: 23, binary, value: value.map(str::to_owned) };
        let of = |subject: &str, role: Option<&str>, statement: &str, parameters: &[AskedParameter], hash: &str| {
            let subject = Subject::new(subject);
            let about =
                About { issuer: &issuer, subject: &subject, target: &target, role, database: "d", schemas: &[] };
            digest(&about, statement, parameters, &PolicyHash::new(hash))
        };
        let all = [
            of("s", None, "delete", &[], "h"),
            of("s2", None, "delete", &[], "h"),
            of("s", Some(""), "delete", &[], "h"),
            of("s", Some("r"), "delete", &[], "h"),
            of("s", None, "delete ", &[], "h"),
            of("s", None, "delete", &[parameter(None, false)], "h"),
            of("s", None, "delete", &[parameter(Some(""), false)], "h"),
            of("s", None, "delete", &[parameter(Some(""), true)], "h"),
            of("s", None, "delete", &[parameter(Some("a"), false), parameter(Some("b"), false)], "h"),
            of("s", None, "delete", &[parameter(Some("ab"), false)], "h"),
            of("s", None, "delete", &[], "h2"),
        ];
        let about = About {
            issuer: &issuer,
            subject: &Subject::new("s"),
            target: &target,
            role: None,
            database: "d",
            schemas: &[],
        };
        let hash = PolicyHash::new("h");
        let connections = [("delete", ""), ("delete", "a"), ("delete ", "a")]
            .map(|(words, token)| connection_digest(&about, words, token, &hash));
        let different: std::collections::BTreeSet<&String> = all.iter().chain(&connections).collect();
        assert_eq!(different.len(), all.len() + connections.len());
        assert!(all.iter().all(|digest| digest.len() == 64));
    }
}
