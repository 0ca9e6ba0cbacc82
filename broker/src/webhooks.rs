//! Webhooks: whoever is to answer hears of a question, and of what it came to, where they already look.
//!
//! Signed as Standard Webhooks says (<https://www.standardwebhooks.com>): `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,` with
//! HMAC-SHA-256 over id, timestamp and body between dots. The id is the same for each attempt, so that a receiver takes it once.
//! Answers that come back: [`answers`]. A message tells no parameters and no more of a statement than its beginning. Never: hold up an approval for a receiver.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use writ_broker_api::approval::{ApprovalsQuery, VoteRequest};
use writ_core::approval::{Approval, ApprovalState, Waits};
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::caught::caught;
use crate::config::{WebhookConfig, WebhookFormat};
use crate::refusal::Refusal;
use crate::steady::Anew;
use answers::{Answers, Said, Unheard};

pub(crate) mod answers;

/// How many digits of a digest a notice names.
const DIGEST_TOLD: usize = 16;
/// Its name among the broker's tasks.
const TASK: &str = "webhooks";
/// How many notices may wait.
pub(crate) const QUEUE: usize = 1024;
/// How many are on their way at once.
const AT_ONCE: usize = 64;
/// How often one is tried, each pause twice the one before.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a receiver may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How much of a statement is told, in characters.
const TOLD: usize = 400;
/// The shortest secret, in bytes.
const SHORTEST: usize = 24;

/// One receiver, ready to be told.
#[derive(Clone)]
pub struct Webhook {
    name: String,
    url: Url,
    format: WebhookFormat,
    key: hmac::Key,
    /// PagerDuty's routing key: its events API knows no signature.
    routing: Arc<Zeroizing<String>>,
    client: Client,
    answers: Option<Arc<Answers>>,
}

impl core::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Reads a receiver's secret and makes its client.
    ///
    /// # Errors
    /// What is wrong: the secret cannot be read or is too short, the address is not HTTPS (loopback apart).
    pub fn new(config: &WebhookConfig) -> Result<Self, String> {
        let url = Url::parse(&config.url).map_err(|_| "`url` is no address".to_owned())?;
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return Err("`url` is not https".to_owned());
        }
        let secret = read_secret(&config.secret_file)?;
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .https_only(url.scheme() == "https")
            .timeout(LIMIT)
            .connect_timeout(LIMIT)
            .build()
            .map_err(|_| "no HTTP client can be made".to_owned())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let routing = String::from_utf8(secret.to_vec()).map_err(|_| "the secret is not text".to_owned())?;
        let answers = config
            .answers
            .as_ref()
            .map(|answers| Answers::new(config.format, answers, &read_secret(&answers.secret_file)?).map(Arc::new));
        Ok(Self {
            answers: answers.transpose()?,
            name: config.name.clone(),
            url,
            format: config.format,
            key,
            routing: Arc::new(Zeroizing::new(routing)),
            client,
        })
    }

    /// Tells it, with retries; says whether it was taken.
    async fn tell(&self, id: &str, approval: &Approval, place: &str) -> bool {
        let body = Zeroizing::new(self.body(approval, place).to_string());
        let mut pause = FIRST_PAUSE;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            let timestamp = writ_core::time::Timestamp::now().as_second();
            let request = self
                .client
                .post(self.url.clone())
                .header("content-type", "application/json")
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature(&self.key, id, timestamp, &body))
                .body(body.as_bytes().to_vec());
            match request.send().await {
                Ok(response) if response.status().is_success() => return true,
                // It will say the same again, but for these two.
                Ok(response)
                    if response.status().is_client_error() && !matches!(response.status().as_u16(), 408 | 429) =>
                {
                    tracing::warn!(webhook = %self.name, status = response.status().as_u16(), "a webhook was refused");
                    return false;
                }
                Ok(_) | Err(_) => {}
            }
        }
        tracing::warn!(webhook = %self.name, "a webhook could not be delivered");
        false
    }

    fn body(&self, approval: &Approval, place: &str) -> Value {
        let mut told = told(approval, place);
        if self.answers.is_some() && approval.state == ApprovalState::Asked && self.format != WebhookFormat::Slack {
            let word = if is_shown_whole(approval) { "approve (or deny)" } else { "deny" };
            let digest = approval.digest.get(..DIGEST_TOLD).unwrap_or(&approval.digest);
            let _ = write!(told, "\nto answer here: {word} {} {digest} and why", approval.id);
        }
        match self.format {
            WebhookFormat::Json => json!({
                "type": kind(approval),
                "approval": approval.id, "state": approval.state, "session": approval.session, "writ": approval.writ,
                "issuer": approval.issuer, "subject": approval.subject, "target": approval.target, "role": approval.role,
                "database": approval.database, "schemas": approval.schemas,
                "policies": approval.policies, "groups": approval.groups, "needed": approval.needed,
                "waits": approval.waits, "reviews_due": approval.reviews_due(),
                "digest": approval.digest, "expires": approval.expires, "statement": beginning(approval), "place": place,
            }),
            // Text that is marked as plain: nothing of a statement becomes markup, a link or a mention.
            WebhookFormat::Slack => {
                let mut blocks = vec![
                    json!({ "type": "header", "text": { "type": "plain_text", "text": title(approval), "emoji": false } }),
                    json!({ "type": "section", "text": { "type": "plain_text", "text": told, "emoji": false } }),
                ];
                if self.answers.is_some() && approval.state == ApprovalState::Asked {
                    blocks.push(json!({ "type": "actions", "elements": buttons(approval) }));
                }
                json!({ "text": title(approval), "blocks": blocks })
            }
            WebhookFormat::Teams => json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": {
                        "type": "AdaptiveCard", "version": "1.4", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "body": [
                            { "type": "TextBlock", "size": "Medium", "weight": "Bolder", "text": title(approval), "wrap": true },
                            { "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": told }] },
                        ],
                    },
                }],
            }),
            WebhookFormat::Pagerduty => json!({
                "routing_key": self.routing.as_str(),
                "event_action": if approval.state == ApprovalState::Asked { "trigger" } else { "resolve" },
                "dedup_key": approval.id,
                "payload": {
                    "summary": title(approval), "source": approval.target, "severity": "warning",
                    "custom_details": { "about": told },
                },
            }),
        }
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let shown = path.display();
    let bytes = crate::keys::files::read(path).map_err(|fault| fault.to_string())?;
    let bytes = bytes.ok_or_else(|| format!("`secret_file` `{shown}` is not there"))?;
    let secret = Zeroizing::new(bytes.trim_ascii().to_vec());
    if secret.len() < SHORTEST {
        return Err(format!("`secret_file` `{shown}` holds less than {SHORTEST} bytes"));
    }
    Ok(secret)
}

/// Standard Webhooks, "Signature scheme".
fn signature(key: &hmac::Key, id: &str, timestamp: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

const fn kind(approval: &Approval) -> &'static str {
    match approval.state {
        ApprovalState::Asked => "approval.asked",
        _ => "approval.settled",
    }
}

fn title(approval: &Approval) -> String {
    match approval.state {
        ApprovalState::Asked => {
            let what = if approval.waits == Waits::Connection { "connection to" } else { "statement at" };
            format!("writ: a {what} {} waits for an approval", approval.target)
        }
        _ if approval.reviews_due() > 0 => {
            format!("writ: {} goes on by a broken glass: {} reviews are due", approval.id, approval.reviews_due())
        }
        state => format!("writ: {} is {}", approval.id, state.as_str()),
    }
}

fn beginning(approval: &Approval) -> String {
    let mut text: String = approval.statement.chars().take(TOLD).collect();
    if text.len() < approval.statement.len() {
        text.push_str(" ...");
    }
    text
}

fn told(approval: &Approval, place: &str) -> String {
    format!(
        "{}\nworkload {} of {}\nheld by {}\nuntil {}\nwrit approvals show {}\n{place}",
        beginning(approval),
        approval.subject.as_str(),
        approval.issuer.as_str(),
        approval.policies.join(", "),
        approval.expires,
        approval.id
    )
}

/// Whether a notice shows all of what is asked about: what it does not is approved elsewhere.
pub(crate) fn is_shown_whole(approval: &Approval) -> bool {
    approval.parameters.is_empty() && approval.statement.chars().nth(TOLD).is_none()
}

/// Slack's buttons: to approve where all is shown, and to deny.
fn buttons(approval: &Approval) -> Vec<Value> {
    let value = format!("{} {}", approval.id, approval.digest);
    let button = |action: &str, text: &str, style: &str| {
        json!({
            "type": "button", "action_id": action, "value": value, "style": style,
            "text": { "type": "plain_text", "text": text, "emoji": false },
        })
    };
    let approve = is_shown_whole(approval).then(|| button("approve", "Approve", "primary"));
    approve.into_iter().chain([button("deny", "Deny", "danger")]).collect()
}

impl Broker {
    /// Takes an answer that somebody gave in the channel of this name: what they are told.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such channel or its answers are not taken, the channel has not signed it lately, it is no answer, or nobody
    /// is configured as its user; or as for a vote. The second part says whether the channel shows what the reply says.
    pub(crate) async fn answer(&self, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<String, (Refusal, bool)> {
        let loaded = self.loaded.load();
        let webhook = loaded.webhooks.iter().find(|webhook| webhook.name == name);
        let answers = webhook.and_then(|webhook| webhook.answers.clone());
        let answers = answers.ok_or_else(|| (Refusal::not_found("webhook"), false))?;
        let said = answers.hear(headers, body, self.clock.now()).map_err(|unheard| match unheard {
            Unheard::Unsigned | Unheard::Late => (Refusal::unauthenticated(), false),
            Unheard::Nothing => (
                Refusal::malformed("no answer: write `approve` or `deny`, the approval, its digest and why"),
                answers.tells(),
            ),
        })?;
        self.take_answer(name, &answers, said).await.map_err(|refusal| (refusal, answers.tells()))
    }

    async fn take_answer(&self, name: &str, answers: &Answers, said: Said) -> Result<String, Refusal> {
        let person = answers.person(&said.user).ok_or_else(Refusal::forbidden)?;
        let by = self.permit_person(person, name)?;
        let approval = self.approval(said.approval).await?;
        if !approval.digest.starts_with(&said.digest) {
            return Err(Refusal::conflict("the digest is not that of what is asked: look at it again"));
        }
        if said.approve && !is_shown_whole(&approval) {
            return Err(Refusal::conflict("it was not shown whole here: answer with `writ approvals approve`"));
        }
        let reason = if said.reason.is_empty() { "no reason given" } else { said.reason.as_str() };
        let reason = format!("in {name}: {reason}");
        let request = VoteRequest { approve: said.approve, reason, digest: approval.digest, window: None };
        let voted = self.vote(said.approval, &by, &request).await?;
        Ok(format!("{} is {}", voted.id, voted.state.as_str()))
    }

    /// Tells of an approval, unless too much waits to be told: the approval itself is for `writ approvals ls` to show.
    pub(crate) fn tell(&self, approval: &Approval) {
        if !self.loaded.load().webhooks.is_empty() && self.notices.try_send(approval.clone()).is_err() {
            metrics::counter!("writ_webhooks_failed_total").increment(1);
        }
    }
}

/// Tells receivers until the broker is gone. What waited for an answer when it started is told again.
pub(crate) async fn run(broker: Weak<Broker>, mut notices: mpsc::Receiver<Approval>, mut stop: watch::Receiver<bool>) {
    let mut anew = Anew::of(TASK);
    while caught(rounds(&broker, &mut notices, &mut stop)).await.is_err() && anew.again(&broker, &mut stop).await {}
}

async fn rounds(broker: &Weak<Broker>, notices: &mut mpsc::Receiver<Approval>, stop: &mut watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut waiting = match broker.upgrade() {
        Some(broker) => broker.approvals(&ApprovalsQuery::default()).await.unwrap_or_default(),
        None => return,
    };
    waiting.retain(|approval| approval.state == ApprovalState::Asked);
    if let Some(broker) = broker.upgrade() {
        broker.steady.came_round(TASK);
    }
    loop {
        let approval = match waiting.pop() {
            Some(approval) => approval,
            None => tokio::select! {
                _ = stop.changed() => return,
                next = notices.recv() => match next {
                    Some(approval) => approval,
                    None => return,
                },
            },
        };
        let Some(broker) = broker.upgrade() else { return };
        let (webhooks, place) = (broker.loaded.load().webhooks.clone(), broker.place_of(&approval));
        drop(broker);
        for webhook in webhooks {
            let taken = tokio::select! {
                _ = stop.changed() => return,
                taken = Arc::clone(&places).acquire_owned() => taken,
            };
            let Ok(taken) = taken else { return };
            let (approval, place) = (approval.clone(), place.clone());
            tokio::spawn(async move {
                let id = format!("{}-{}", approval.id, approval.state.as_str());
                if !webhook.tell(&id, &approval, &place).await {
                    metrics::counter!("writ_webhooks_failed_total").increment(1);
                }
                drop(taken);
            });
        }
    }
}

#[cfg(test)]
mod tests;
