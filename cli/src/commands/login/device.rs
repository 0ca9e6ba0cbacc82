//! The device flow (RFC 8628): the human opens a page in a browser anywhere and enters a code, while this machine asks the
//! issuer, no more often than it allows, whether that was done.
//!
//! Never: ask sooner than the issuer's interval; go on when the code has run out; send a human to a page that is not https.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use writ_broker_api::admin::Login as Named;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Discovered, Tokens, answer, check, endpoint, read};
use crate::failure::Failure;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long a code is waited for, whatever life the issuer gives it.
const PATIENCE: Duration = Duration::from_mins(30);
/// Where the issuer names no interval (RFC 8628, section 3.2).
const INTERVAL: u64 = 5;
/// What is added each time that the issuer asks for less (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The longest time between two questions after the issuer could not be reached.
const RAREST: Duration = Duration::from_mins(1);
/// The longest code that a human is asked to enter, in characters.
const LONGEST_CODE: usize = 64;

/// The issuer's answer to the first question (RFC 8628, section 3.2).
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

/// A refusal (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// What the issuer says when it is asked.
enum Said {
    Tokens(Tokens),
    Error(String),
    /// Nothing that can be understood: it cannot be reached, or it is in trouble itself.
    Nothing,
}

/// Gets an ID token from the issuer. `show` is given the page's address and the code to enter there.
///
/// # Errors
/// If the issuer has no device flow, refuses, or says something else than it should, or nobody enters the code in time.
pub(super) async fn obtain(
    client: &Client,
    named: &Named,
    found: &Discovered,
    show: impl FnOnce(&str, &str),
) -> Result<Zeroizing<String>, Failure> {
    let Some(begin) = &found.device_authorization_endpoint else {
        return Err(Failure::new(format!("the issuer `{}` has no device flow", named.issuer))
            .help("log in with a browser on this machine: leave `--device` out"));
    };
    let begin = client.post(endpoint(begin, &named.issuer)?);
    let begun: Begun = read(begin.form(&[("client_id", named.client_id.as_str()), ("scope", "openid")])).await?;
    let page = endpoint(&begun.verification_uri, &named.issuer)?;
    let plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    if begun.user_code.is_empty() || begun.user_code.len() > LONGEST_CODE || !begun.user_code.chars().all(plain) {
        return Err(Failure::new("the issuer's code is not one that a human could enter"));
    }
    let mut pace = Pace::new(begun.interval, begun.expires_in, Instant::now())?;
    show(page.as_str(), &begun.user_code);
    let token_endpoint = endpoint(&found.token_endpoint, &named.issuer)?;
    loop {
        tokio::time::sleep_until(pace.next()?).await;
        let asked = client.post(token_endpoint.clone()).form(&[
            ("grant_type", GRANT),
            ("device_code", &begun.device_code),
            ("client_id", &named.client_id),
        ]);
        if let Some(tokens) = pace.heard(said(asked).await, Instant::now())? {
            check(&tokens.id_token, named, None)?;
            return Ok(Zeroizing::new(tokens.id_token.clone()));
        }
    }
}

async fn said(asked: reqwest::RequestBuilder) -> Said {
    let Ok((status, _, body)) = answer(asked).await else { return Said::Nothing };
    if status.is_success() {
        return match serde_json::from_slice(&body) {
            Ok(tokens) => Said::Tokens(tokens),
            Err(_) => Said::Error("an answer without an ID token".to_owned()),
        };
    }
    match serde_json::from_slice::<Refused>(&body) {
        Ok(refused) if !status.is_server_error() => Said::Error(refused.error),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Said::Nothing,
        _ => Said::Error(format!("status {status}")),
    }
}

/// When to ask, and until when. No clock of its own.
#[derive(Debug)]
struct Pace {
    next: Instant,
    interval: Duration,
    until: Instant,
}

impl Pace {
    fn new(interval: Option<u64>, expires_in: u64, now: Instant) -> Result<Self, Failure> {
        let interval = Duration::from_secs(interval.unwrap_or(INTERVAL).max(1));
        let life = Duration::from_secs(expires_in).min(PATIENCE);
        if interval >= life {
            return Err(Failure::new("the issuer's code runs out before it may be asked for")
                .help("tell whoever runs the issuer: `interval` is not less than `expires_in`"));
        }
        Ok(Self { next: now + interval, interval, until: now + life })
    }

    /// When to ask.
    fn next(&self) -> Result<Instant, Failure> {
        if self.next < self.until { Ok(self.next) } else { Err(ran_out()) }
    }

    /// The tokens, if that is what was heard; nothing, if the issuer is to be asked again.
    fn heard(&mut self, said: Said, now: Instant) -> Result<Option<Tokens>, Failure> {
        match said {
            Said::Tokens(tokens) => return Ok(Some(tokens)),
            Said::Error(error) => match error.as_str() {
                "authorization_pending" => {}
                "slow_down" => self.interval = self.interval.saturating_add(SLOWER),
                "access_denied" => return Err(Failure::new("the login was declined in the browser")),
                "expired_token" => return Err(ran_out()),
                _ => return Err(Failure::new(format!("the issuer refused: `{}`", shortened(&error)))),
            },
            // RFC 8628, section 3.5: less and less often.
            Said::Nothing => self.interval = self.interval.max(self.interval.saturating_mul(2).min(RAREST)),
        }
        self.next = now + self.interval;
        Ok(None)
    }
}

fn ran_out() -> Failure {
    Failure::new("the code ran out before anybody entered it").help("run `writ login --device` again")
}

/// An error code is a word (RFC 6749, section 5.2); whatever is longer is not shown in full.
fn shortened(error: &str) -> String {
    error.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
