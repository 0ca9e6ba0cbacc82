//! Google's security token service: a token of somebody else's for one of Google's, and one of Google's for one that may do less
//! (RFC 8693).
//!
//! The exchanges are made here and not by `google-cloud-auth`, which has the same for a program's own identity: it makes an HTTP
//! client for each, by which it takes proxies from the environment and follows redirects with the assertion in hand, keeps the token
//! in a cache that renews itself, tells no end of it, and knows no access boundary. The broker's own identity is its part
//! ([`crate::ambient`]).

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use writ_core::provider::ProviderFault;
use writ_core::time::{Timestamp, after};
use writ_provider_calls::{Failed, plain, repeated};
use zeroize::Zeroizing;

use crate::client::{self, Answer, REASON, at};
use crate::fault;
use crate::names::PoolProvider;
use crate::token::{Token, zeroizing};

/// Where it is.
pub(crate) const OWN: &str = "https://sts.googleapis.com";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The longest token that is shown, in bytes.
const LONGEST: usize = 32 * 1024;
/// The longest life of what it gives, in seconds, with room.
const LONGEST_LIFE: u64 = 43_200 + 300;

/// The service.
#[derive(Debug)]
pub(crate) struct Sts {
    client: Client,
    endpoint: Url,
}

/// What is asked for, whoever asks.
struct Asked<'a> {
    doing: &'a str,
    reason: &'a str,
    limit: Duration,
}

#[derive(Deserialize)]
struct Given {
    #[serde(deserialize_with = "zeroizing")]
    access_token: Zeroizing<String>,
    issued_token_type: String,
    token_type: String,
    /// Left out where the token ends with the one that it was made of.
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Sts {
    pub(crate) const fn new(client: Client, endpoint: Url) -> Self {
        Self { client, endpoint }
    }

    /// A token of the pool's principal for a JWT that its provider trusts.
    pub(crate) async fn federated(
        &self,
        provider: &PoolProvider,
        token: &[u8],
        scopes: &str,
        reason: &str,
        limit: Duration,
    ) -> Result<Token, ProviderFault> {
        let doing = format!("showing a token to `{provider}`");
        let token = core::str::from_utf8(token).ok().filter(|token| (4..=LONGEST).contains(&token.len()));
        let token = token.ok_or_else(|| {
            ProviderFault::Refused(format!(
                "{doing}: it has no form that Google takes: a JWT of at most {LONGEST} bytes"
            ))
        })?;
        let audience = provider.audience();
        let form = [
            ("grant_type", EXCHANGE),
            ("audience", &audience),
            ("scope", scopes),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", JWT),
            ("subject_token", token),
        ];
        let (token, expires) = self.exchange(&Asked { doing: &doing, reason, limit }, &form).await?;
        let expires = expires.ok_or_else(|| client::settled(fault::cut_short(&doing)))?;
        Ok(Token { text: token, expires })
    }

    /// The same token behind an access boundary (`options`).
    pub(crate) async fn bounded(
        &self,
        token: &Token,
        options: &str,
        reason: &str,
        limit: Duration,
    ) -> Result<Token, ProviderFault> {
        let doing = "putting a token behind its boundary";
        let form = [
            ("grant_type", EXCHANGE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", ACCESS_TOKEN),
            ("subject_token", token.text.as_str()),
            ("options", options),
        ];
        let (text, expires) = self.exchange(&Asked { doing, reason, limit }, &form).await?;
        if *text == *token.text {
            let text = format!("{doing}: Google gave the token back as it was");
            return Err(ProviderFault::Refused(text));
        }
        // It ends with the token that it is made of, or sooner.
        Ok(Token { text, expires: expires.map_or(token.expires, |expires| expires.min(token.expires)) })
    }

    async fn exchange(
        &self,
        asked: &Asked<'_>,
        form: &[(&str, &str)],
    ) -> Result<(Zeroizing<String>, Option<Timestamp>), ProviderFault> {
        repeated(asked.doing, asked.limit, || async {
            let request = self.client.post(at(&self.endpoint, "/v1/token")).header(REASON, asked.reason).form(form);
            let now = Timestamp::now();
            let answer = client::send(asked.doing, request).await?;
            given(asked.doing, now, &answer)
        })
        .await
    }

    /// Whether it answers at all, whatever it says.
    pub(crate) async fn answers(&self) -> Result<(), ProviderFault> {
        let request = self.client.get(at(&self.endpoint, "/"));
        client::send("asking whether Google's STS answers", request).await.map(drop).map_err(client::settled)
    }
}

/// Whatever is not what was asked for is refused.
fn given(doing: &str, now: Timestamp, answer: &Answer) -> Result<(Zeroizing<String>, Option<Timestamp>), Failed> {
    if answer.status != 200 {
        return Err(fault::of_oauth(doing, answer.status, &answer.body));
    }
    let given: Given = serde_json::from_slice(&answer.body).map_err(|_| fault::cut_short(doing))?;
    if !Token::is_sound(&given.access_token) {
        return Err(fault::cut_short(doing));
    }
    let refused = |why: String| Failed::ForGood(ProviderFault::Refused(format!("{doing}: {why}")));
    if given.issued_token_type != ACCESS_TOKEN || !given.token_type.eq_ignore_ascii_case("Bearer") {
        let (kind, of) = (plain(&given.token_type), plain(&given.issued_token_type));
        return Err(refused(format!(
            "Google gave a token of the kind `{kind}`, `{of}`, and asked was an access token"
        )));
    }
    match given.expires_in {
        Some(life) if life > LONGEST_LIFE => {
            Err(refused(format!("Google gave a token for {life} s, which none lives: see what answers there")))
        }
        life => {
            let end = life.map(|life| Timestamp::from_second(after(now, life).as_second())).transpose();
            Ok((given.access_token, end.map_err(|_| fault::cut_short(doing))?))
        }
    }
}
