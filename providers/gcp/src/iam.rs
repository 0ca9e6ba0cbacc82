//! Google's IAM credentials service: tokens of a service account, for whoever may act as it.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_core::provider::ProviderFault;
use writ_core::time::{Timestamp, after};
use writ_provider_calls::{Failed, plain, repeated};
use zeroize::Zeroizing;

use crate::client::{self, Answer, REASON, at};
use crate::fault;
use crate::names::ServiceAccount;
use crate::token::{Token, claims, zeroizing};

/// Where it is.
pub(crate) const OWN: &str = "https://iamcredentials.googleapis.com";
/// Where tokens are asked of what they are.
pub(crate) const OWN_INFO: &str = "https://oauth2.googleapis.com";
/// By how much the end of a token may differ from what was asked: more means two clocks, or another answer.
const TOLERANCE: i64 = 300;
/// How long an ID token lives, in seconds, whatever is asked.
pub(crate) const IDENTITY_LIFE: u64 = 3_600;

/// The service, and the one that says what a token is.
#[derive(Debug)]
pub(crate) struct Iam {
    client: Client,
    endpoint: Url,
    info: Url,
}

/// As whom it is asked, for what account, and why.
pub(crate) struct Asked<'a> {
    /// The token of whoever may act as the account, or as the first of the delegates.
    pub(crate) caller: &'a str,
    pub(crate) account: &'a ServiceAccount,
    pub(crate) delegates: &'a [ServiceAccount],
    pub(crate) reason: &'a str,
    pub(crate) limit: Duration,
}

impl Asked<'_> {
    fn delegates(&self) -> Vec<String> {
        self.delegates.iter().map(ServiceAccount::resource).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    #[serde(deserialize_with = "zeroizing")]
    access_token: Zeroizing<String>,
    expire_time: Timestamp,
}

#[derive(Deserialize)]
struct GivenIdentity {
    #[serde(deserialize_with = "zeroizing")]
    token: Zeroizing<String>,
}

impl Iam {
    pub(crate) const fn new(client: Client, endpoint: Url, info: Url) -> Self {
        Self { client, endpoint, info }
    }

    /// `generateAccessToken`: for so many seconds, and no longer.
    pub(crate) async fn access_token(
        &self,
        asked: &Asked<'_>,
        scopes: &[String],
        seconds: u64,
    ) -> Result<Token, ProviderFault> {
        let doing = format!("asking for an access token of `{}`", asked.account);
        let body = json!({ "delegates": asked.delegates(), "scope": scopes, "lifetime": format!("{seconds}s") });
        self.ask(&doing, asked, "generateAccessToken", &body, |now, answer| {
            let given: Given = serde_json::from_slice(&answer.body).map_err(|_| fault::cut_short(&doing))?;
            let expires =
                Timestamp::from_second(given.expire_time.as_second()).map_err(|_| fault::cut_short(&doing))?;
            as_asked(&doing, given.access_token, expires, after(now, seconds))
        })
        .await
    }

    /// `generateIdToken`: for an hour, as Google has it.
    pub(crate) async fn id_token(&self, asked: &Asked<'_>, audience: &str) -> Result<Token, ProviderFault> {
        let doing = format!("asking for an ID token of `{}`", asked.account);
        let body = json!({ "delegates": asked.delegates(), "audience": audience, "includeEmail": true });
        self.ask(&doing, asked, "generateIdToken", &body, |now, answer| {
            let given: GivenIdentity = serde_json::from_slice(&answer.body).map_err(|_| fault::cut_short(&doing))?;
            let said = claims(given.token.as_bytes()).ok_or_else(|| fault::cut_short(&doing))?;
            let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
            if text("aud") != audience || text("email") != asked.account.as_str() {
                let text =
                    format!("{doing}: Google gave one of `{}` for `{}`", plain(text("email")), plain(text("aud")));
                return Err(Failed::ForGood(ProviderFault::Refused(text)));
            }
            let expires = said.get("exp").and_then(Value::as_i64).and_then(|end| Timestamp::from_second(end).ok());
            let expires = expires.ok_or_else(|| fault::cut_short(&doing))?;
            as_asked(&doing, given.token, expires, after(now, IDENTITY_LIFE))
        })
        .await
    }

    async fn ask(
        &self,
        doing: &str,
        asked: &Asked<'_>,
        method: &str,
        body: &Value,
        read: impl Fn(Timestamp, &Answer) -> Result<Token, Failed>,
    ) -> Result<Token, ProviderFault> {
        let address = at(&self.endpoint, &format!("/v1/{}:{method}", asked.account.resource()));
        repeated(doing, asked.limit, || async {
            let request = self.client.post(&address).bearer_auth(asked.caller).header(REASON, asked.reason).json(body);
            let now = Timestamp::now();
            let answer = client::send(doing, request).await?;
            if answer.status != 200 {
                return Err(fault::of_status(doing, answer.status, &answer.body));
            }
            read(now, &answer)
        })
        .await
    }

    /// What Google says of a token (`parameter` is the kind it is shown as): whose it is. Whoever has a token may ask.
    pub(crate) async fn whose(&self, parameter: &str, token: &[u8], limit: Duration) -> Result<String, ProviderFault> {
        let doing = "asking Google whose a token is";
        let token = core::str::from_utf8(token)
            .map_err(|_| ProviderFault::Refused("the credential is no token of Google's".to_owned()))?;
        repeated(doing, limit, || async {
            // In the body, not in the address: addresses are logged on their way.
            let request = self.client.post(at(&self.info, "/tokeninfo")).form(&[(parameter, token)]);
            let answer = client::send(doing, request).await?;
            if answer.status != 200 {
                return Err(fault::of_oauth(doing, answer.status, &answer.body));
            }
            let said: Value = serde_json::from_slice(&answer.body).map_err(|_| fault::cut_short(doing))?;
            let email = said.get("email").and_then(Value::as_str);
            email.map(str::to_owned).ok_or_else(|| fault::cut_short(doing))
        })
        .await
    }
}

/// The token, if it ends when it should.
fn as_asked(doing: &str, text: Zeroizing<String>, expires: Timestamp, wanted: Timestamp) -> Result<Token, Failed> {
    if !Token::is_sound(&text) {
        return Err(fault::cut_short(doing));
    }
    if (expires.as_second() - wanted.as_second()).abs() > TOLERANCE {
        let text = format!(
            "{doing}: Google gave one until {expires}, and asked was one until {wanted}: set the clock of the broker's machine, \
             or see what answers there"
        );
        return Err(Failed::ForGood(ProviderFault::Refused(text)));
    }
    Ok(Token { text, expires })
}
