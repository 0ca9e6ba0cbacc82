//! Answers that people give where they read of a question: in Slack, Teams or PagerDuty.
//!
//! An answer counts as a person's only where its channel signed it, lately, and configuration says which human the channel's user is; then
//! policy and the approval's own rules hold for that human as for any. What must never happen: that whoever can post to the address,
//! or merely is in the channel, approves; or that somebody approves what the notice did not show whole.
//!
//! Sources: Slack, "Verifying requests from Slack" and "Handling user interaction"; Microsoft Teams, "Create an outgoing webhook"; PagerDuty,
//! "Verifying webhook signatures" and "Webhooks v3 overview".

use std::collections::HashMap;

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;
use writ_core::event::Actor;
use writ_core::id::ApprovalId;
use writ_core::time::Timestamp;
use writ_core::workload::{Issuer, Subject};

use crate::config::{AnswersConfig, WebhookFormat};

/// How old an answer may be, and how far its clock ahead, in seconds: the channels' own advice.
const LATELY: i64 = 300;
/// How many digits of the digest an answer in words names at least.
const SHORTEST_DIGEST: usize = 12;
/// How much of an answer's words is kept as its reason, in characters.
const LONGEST_REASON: usize = 120;

/// How answers of one channel are verified and whose they are.
#[derive(Clone)]
pub(crate) struct Answers {
    format: WebhookFormat,
    key: hmac::Key,
    people: HashMap<String, Person>,
}

/// A human, as one channel knows them.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) actor: Actor,
    pub(crate) groups: Vec<String>,
}

/// What somebody said in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// The channel's name for them.
    pub(crate) user: String,
    pub(crate) approve: bool,
    pub(crate) approval: ApprovalId,
    /// The digest of what they saw, or how it begins.
    pub(crate) digest: String,
    pub(crate) reason: String,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// Nothing says that the channel sent it.
    Unsigned,
    /// It is too old, or its time cannot be read.
    Late,
    /// It is no answer.
    Nothing,
}

impl Answers {
    /// Answers as configured; `secret` is what the channel signs with.
    pub(crate) fn new(format: WebhookFormat, config: &AnswersConfig, secret: &[u8]) -> Result<Self, String> {
        let decoded;
        let secret = match format {
            WebhookFormat::Json => return Err("`answers` come by slack, teams or pagerduty".to_owned()),
            // Teams shows its token in base64.
            WebhookFormat::Teams => {
                decoded = STANDARD.decode(secret).map_err(|_| "the token of Teams is not base64".to_owned())?;
                decoded.as_slice()
            }
            WebhookFormat::Slack | WebhookFormat::Pagerduty => secret,
        };
        let mut people = HashMap::new();
        for person in &config.people {
            let actor = Actor { issuer: Issuer::new(&person.issuer), subject: Subject::new(&person.subject) };
            if people.insert(person.id.clone(), Person { actor, groups: person.groups.clone() }).is_some() {
                return Err(format!("`people` has `{}` twice", person.id));
            }
        }
        Ok(Self { format, key: hmac::Key::new(hmac::HMAC_SHA256, secret), people })
    }

    /// Whose answer it is.
    pub(crate) fn person(&self, user: &str) -> Option<&Person> {
        self.people.get(user)
    }

    /// Whether a refusal is told in the answer's own reply, which the channel then shows.
    pub(crate) const fn tells(&self) -> bool {
        matches!(self.format, WebhookFormat::Teams)
    }

    /// Verifies and reads an answer.
    pub(crate) fn hear(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Said, Unheard> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match self.format {
            WebhookFormat::Slack => {
                let at = header("x-slack-request-timestamp").ok_or(Unheard::Unsigned)?;
                let signed = [b"v0:", at.as_bytes(), b":", body].concat();
                let tag = header("x-slack-signature").and_then(|tag| unhex(tag.strip_prefix("v0=")?));
                self.signed(&signed, tag)?;
                lately(at.parse().ok(), now)?;
                slack(body)
            }
            WebhookFormat::Teams => {
                let tag = header("authorization").and_then(|tag| STANDARD.decode(tag.strip_prefix("HMAC ")?).ok());
                self.signed(body, tag)?;
                let activity: Activity = serde_json::from_slice(body).map_err(|_| Unheard::Nothing)?;
                lately(seconds(&activity.timestamp), now)?;
                words(activity.from.id, &without_mentions(&activity.text))
            }
            WebhookFormat::Pagerduty => {
                let tags = header("x-pagerduty-signature").unwrap_or_default();
                let tags = tags.split(',').filter_map(|tag| unhex(tag.trim().strip_prefix("v1=")?));
                let good = tags.map(|tag| self.signed(body, Some(tag))).any(|signed| signed.is_ok());
                let Delivery { event } = serde_json::from_slice(body).ok().filter(|_| good).ok_or(if good {
                    Unheard::Nothing
                } else {
                    Unheard::Unsigned
                })?;
                lately(seconds(&event.occurred_at), now)?;
                match (event.event_type.as_str(), event.agent, event.data.content) {
                    ("incident.annotated", Some(agent), Some(note)) => words(agent.id, &note),
                    _ => Err(Unheard::Nothing),
                }
            }
            WebhookFormat::Json => Err(Unheard::Unsigned),
        }
    }

    fn signed(&self, bytes: &[u8], tag: Option<Vec<u8>>) -> Result<(), Unheard> {
        let tag = tag.ok_or(Unheard::Unsigned)?;
        hmac::verify(&self.key, bytes, &tag).map_err(|_| Unheard::Unsigned)
    }
}

/// Slack: `block_actions`, a button of ours.
#[derive(Deserialize)]
struct Interaction {
    #[serde(rename = "type")]
    kind: String,
    user: User,
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: String,
}

/// Teams: a message that mentions the webhook.
#[derive(Deserialize)]
struct Activity {
    timestamp: String,
    from: User,
    text: String,
}

/// PagerDuty: a note on the incident.
#[derive(Deserialize)]
struct Delivery {
    event: Happened,
}

#[derive(Deserialize)]
struct Happened {
    event_type: String,
    occurred_at: String,
    agent: Option<User>,
    data: Note,
}

#[derive(Deserialize)]
struct Note {
    content: Option<String>,
}

fn slack(body: &[u8]) -> Result<Said, Unheard> {
    let mut form = Url::parse("form:").map_err(|_| Unheard::Nothing)?;
    form.set_query(core::str::from_utf8(body).ok());
    let payload = form.query_pairs().find(|(name, _)| name == "payload").ok_or(Unheard::Nothing)?;
    let said: Interaction = serde_json::from_str(&payload.1).map_err(|_| Unheard::Nothing)?;
    let ("block_actions", [action]) = (said.kind.as_str(), said.actions.as_slice()) else {
        return Err(Unheard::Nothing);
    };
    words(said.user.id, &format!("{} {}", action.action_id, action.value))
}

/// `approve APPROVAL DIGEST [why]`, or `deny ...`.
fn words(user: String, text: &str) -> Result<Said, Unheard> {
    let mut words = text.split_whitespace();
    let approve = match words.next() {
        Some(word) if word.eq_ignore_ascii_case("approve") => true,
        Some(word) if word.eq_ignore_ascii_case("deny") => false,
        _ => return Err(Unheard::Nothing),
    };
    let approval = words.next().and_then(|word| word.parse().ok()).ok_or(Unheard::Nothing)?;
    let digest = words.next().filter(|digest| digest.len() >= SHORTEST_DIGEST).ok_or(Unheard::Nothing)?;
    let reason = words.collect::<Vec<_>>().join(" ").chars().take(LONGEST_REASON).collect();
    Ok(Said { user, approve, approval, digest: digest.to_ascii_lowercase(), reason })
}

/// Teams writes whom a message mentions as `<at>name</at>`.
fn without_mentions(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, mention)) = rest.split_once("<at>") {
        kept.push_str(before);
        rest = mention.split_once("</at>").map_or("", |(_, behind)| behind);
    }
    kept.push_str(rest);
    kept.replace("&nbsp;", " ")
}

fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

fn lately(at: Option<i64>, now: Timestamp) -> Result<(), Unheard> {
    let apart = at.and_then(|at| now.as_second().checked_sub(at)).ok_or(Unheard::Late)?;
    if (-LATELY..=LATELY).contains(&apart) { Ok(()) } else { Err(Unheard::Late) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests;
