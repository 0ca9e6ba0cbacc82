//! How a token is asked for: an assertion of Writ's own issuer for an access token (client credentials with a JWT bearer
//! assertion, RFC 7523), by the SDK.
//!
//! Each token is asked for by a credential object of its own, because such an object keeps what it was given and hands it to
//! whoever asks next. Nothing is repeated but what took no effect.

use core::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::TokenCredential as _;
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde::Deserialize;
use writ_core::assertion::{AssertedSubject, Assertion, Assertions};
use writ_core::credential::{Fingerprint, Secret};
use writ_core::id::WritId;
use writ_core::proof::Intended;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_core::time::{Timestamp, after};
use writ_core::workload::Claims as WorkloadClaims;
use writ_provider_calls::{Failed, repeated, within};
use zeroize::Zeroizing;

use crate::claims::Claims;
use crate::cloud::Scope;
use crate::config::{ClientId, ConfigFault, EntraConfig, shown, tenant};
use crate::fault;
use crate::transport::{Carrier, Seen, client};

/// The longest life that Entra grants without asking the resource about it in between, in seconds, and some room for clocks.
const LONGEST: u64 = 86_400 + 300;
/// The only algorithm that Entra promises to take.
const ALGORITHM: &str = "RS256";

/// Entra, for one tenant.
pub(crate) struct Entra {
    client: Client,
    authority: String,
    tenant: String,
    audience: String,
    subject: AssertedSubject,
    assertions: Arc<dyn Assertions>,
    call_timeout: Duration,
}

/// What Entra granted.
pub(crate) struct Granted {
    pub(crate) token: Secret,
    pub(crate) expires: Timestamp,
    claims: Claims,
    correlation: Option<String>,
}

impl Granted {
    /// The token's own id, which is public in the sign-in log, where it can be read.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match &self.claims.uti {
            Some(uti) => Fingerprint::of_public("entra-uti", uti),
            None => Fingerprint::of_random(&self.token),
        }
    }

    /// What Entra's log and the resources' call it: `uti`, the object's id and the correlation id, as far as they are known.
    pub(crate) fn audit(&self) -> String {
        let Claims { uti, oid, .. } = &self.claims;
        let parts = [("uti", uti), ("oid", oid), ("correlation", &self.correlation)];
        let known = parts.iter().filter_map(|(name, id)| id.as_ref().map(|id| format!("{name} {id}")));
        known.collect::<Vec<_>>().join(", ")
    }
}

impl Entra {
    /// Checks the configuration and reads the authorities that it names. Asks nobody: an Entra that is down must not keep the
    /// broker from starting.
    pub(crate) fn new(
        tenant_id: &str,
        config: &EntraConfig,
        assertions: Option<&Arc<dyn Assertions>>,
    ) -> Result<Self, ConfigFault> {
        config.validate()?;
        let authorities = config.authority_ca_file.as_ref().map(|path| {
            let said =
                |error| ConfigFault::new(format!("`authority_ca_file` `{}` cannot be read: {error}", path.display()));
            std::fs::read(path).map_err(said)
        });
        let authorities = authorities.transpose()?;
        let authorities = authorities.as_deref().map(|pem| ("authority_ca_file", pem));
        let assertions = assertions.ok_or_else(|| {
            ConfigFault::new(
                "Entra knows Writ by its assertions, and the broker is no issuer: add the table `[broker.issues]`",
            )
        })?;
        Ok(Self {
            client: client(config.call_timeout(), authorities)?,
            authority: config.authority()?,
            tenant: tenant(tenant_id)?,
            audience: config.audience().to_owned(),
            subject: config.subject,
            assertions: Arc::clone(assertions),
            call_timeout: config.call_timeout(),
        })
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// A token for one resource: for a writ, or for the broker itself.
    pub(crate) async fn token(
        &self,
        client: &ClientId,
        scope: &Scope,
        target: &TargetName,
        intended: Option<&Intended>,
        deadline: Duration,
    ) -> Result<Granted, ProviderFault> {
        let limit = deadline.min(self.call_timeout);
        let doing = format!("asking Entra for a token of `{}` for `{}`", client.as_str(), scope.as_str());
        let asking = async {
            let (audience, subject) = (self.audience.as_str(), self.subject);
            let asked = Assertion { audience, subject, target, intended, claims: WorkloadClaims::default() };
            let assertion = self.assertions.assert(asked).await?;
            let assertion = shown_to_entra(&assertion)?;
            let correlation = intended.map(|intended| correlation(intended.writ().id));
            repeated(&doing, limit, || self.exchanged(&doing, client, scope, assertion.clone(), correlation.clone()))
                .await
        };
        within(&doing, limit, asking).await
    }

    async fn exchanged(
        &self,
        doing: &str,
        client: &ClientId,
        scope: &Scope,
        assertion: Zeroizing<String>,
        correlation: Option<String>,
    ) -> Result<Granted, Failed> {
        let carrier = Arc::new(Carrier::new(self.client.clone(), doing, correlation.clone()));
        let misused = |error: azure_core::Error| {
            let text = format!("{doing}: {}", shown(&error.to_string()));
            Failed::ForGood(ProviderFault::Misconfigured(text))
        };
        let credential = ClientAssertionCredential::new(
            self.tenant.clone(),
            client.as_str().to_owned(),
            Shown(assertion),
            Some(ClientAssertionCredentialOptions { client_options: options(&self.authority, &carrier) }),
        );
        let asked = Timestamp::now();
        let given = match credential.map_err(misused)?.get_token(&[scope.as_str()], None).await {
            Ok(given) => given,
            Err(error) => {
                return Err(match carrier.seen() {
                    Seen::Failed(failed) => failed,
                    Seen::Answer(200, _) => fault::cut_short(doing),
                    Seen::Answer(status, body) => fault::of_answer(doing, status, &body),
                    Seen::Nothing => misused(error),
                });
            }
        };
        let token = Secret::new(given.token.secret().as_bytes().to_vec());
        let granted = given.expires_on.unix_timestamp();
        self.checked(doing, client, token, granted, asked, correlation)
    }

    /// What came must be a token that lives, no longer than Entra ever grants, and does not say that it is another's.
    fn checked(
        &self,
        doing: &str,
        client: &ClientId,
        token: Secret,
        granted: i64,
        asked: Timestamp,
        correlation: Option<String>,
    ) -> Result<Granted, Failed> {
        let claims = core::str::from_utf8(token.expose()).map(Claims::read).unwrap_or_default();
        // By two accounts the sooner end: Entra's count of seconds began before the answer came.
        let end = claims.end.map_or(granted, |end| end.min(granted));
        let expires = Timestamp::from_second(end).ok().filter(|_| !token.expose().is_empty());
        let expires = expires.filter(|expires| *expires > asked).ok_or_else(|| fault::cut_short(doing))?;
        let refused = |what: String| Failed::ForGood(ProviderFault::Refused(format!("{doing}: {what}")));
        if Timestamp::from_second(granted).is_ok_and(|granted| granted > after(asked, LONGEST)) {
            return Err(refused("the token would live for more than a day, which Entra does not grant".to_owned()));
        }
        for (what, own, told) in [("client", client.as_str(), &claims.client), ("tenant", &self.tenant, &claims.tenant)]
        {
            if let Some(told) = told.as_ref().filter(|told| *told != own) {
                return Err(refused(format!("the token is of the {what} `{told}`")));
            }
        }
        Ok(Granted { token, expires, claims, correlation })
    }
}

impl fmt::Debug for Entra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Entra");
        shown.field("authority", &self.authority).field("tenant", &self.tenant).field("audience", &self.audience);
        shown.finish_non_exhaustive()
    }
}

/// What the SDK is told: where Entra is, by what to carry, and to repeat nothing by itself.
pub(crate) fn options(authority: &str, carrier: &Arc<Carrier>) -> ClientOptions {
    let mut custom = CustomConfiguration::default();
    custom.authority_host = authority.to_owned();
    ClientOptions {
        cloud: Some(Arc::new(custom.into())),
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::clone(carrier) as Arc<dyn azure_core::http::HttpClient>)),
        ..ClientOptions::default()
    }
}

/// The writ's id as the GUID that Entra takes for a correlation id: the same 128 bits.
pub(crate) fn correlation(writ: WritId) -> String {
    let digits: String = writ.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut rest = digits.as_str();
    let groups = [8, 4, 4, 4, 12].map(|length| {
        let (group, after) = rest.split_at_checked(length).unwrap_or_default();
        rest = after;
        group
    });
    groups.join("-")
}

/// The assertion as text. One by another algorithm is not shown: Entra would say no in words that help nobody.
fn shown_to_entra(assertion: &Secret) -> Result<Zeroizing<String>, ProviderFault> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let text = core::str::from_utf8(assertion.expose()).ok();
    let header = text.and_then(|text| URL_SAFE_NO_PAD.decode(text.split('.').next()?).ok());
    let header = header.and_then(|header| serde_json::from_slice::<Header>(&header).ok());
    match (text, header) {
        (Some(text), Some(header)) if header.alg == ALGORITHM => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(ProviderFault::Misconfigured(format!(
            "Entra takes assertions by `{ALGORITHM}` alone: write `algorithm = \"{ALGORITHM}\"` in `[broker.issues]`, or name an RSA key \
             in `kms_key`"
        ))),
    }
}

/// An assertion in the SDK's hands, until the one call is over.
struct Shown(Zeroizing<String>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(..)")
    }
}

type Supplied<'a> = Pin<Box<dyn Future<Output = azure_core::Result<String>> + Send + 'a>>;

// The signature is what `async_trait`, by which the SDK declares it, makes of `async fn`.
impl ClientAssertion for Shown {
    fn secret<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _: Option<ClientMethodOptions<'life1>>,
    ) -> Supplied<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async { Ok(self.0.as_str().to_owned()) })
    }
}
