//! A fake of AWS's STS and of the part of IAM that ends sessions, strict, in front of moto.
//!
//! | part | what answers |
//! |---|---|
//! | STS: AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity | this fake; the credentials that it gives are moto's own |
//! | IAM: Put-, Get-, Delete- and ListRolePolicies, GetRole | this fake, from its own account |
//! | S3 (path style: objects, and listing a bucket) and everything else | moto, once this fake has verified the signature and what the caller may do |
//!
//! Clients talk to the front alone ([`Front::url`]): moto ignores session policies, session tags, trust conditions, durations and
//! all of a web identity, and what a caller may do is decided here. moto checks signatures and session tokens a second time.
//!
//! # Where it is stricter than AWS
//! Unknown and repeated parameters are refused. A token needs `kid`, `iat` and one audience; no leeway for clocks; the JWKS is
//! fetched each time, so a rotated key counts at once. Tags as flattened claims are not known. `sts:TagSession` and
//! `sts:SetSourceIdentity` are asked of the caller's own policies as well as of the trust.
//!
//! # Where AWS's own rule is not public
//! `PackedPolicySize` is, here, the bytes of the session policies without insignificant white space, of their ARNs, and of all tags
//! with two bytes for each, in percent of 2048, rounded up. AWS packs more tightly. Claims of tags and source identities that break
//! the limits are `IDPRejectedClaim`. A role that does not exist, and a trust that does not hold, are the same `AccessDenied`.
//!
//! # How a session ends
//! By its time, or by a policy on its role that denies what was issued before a moment (`aws:TokenIssueTime`), put there by
//! PutRolePolicy. As at AWS, no policy can deny GetCallerIdentity: it goes on answering for a session that everything else refuses.
//! At AWS such a policy takes minutes to reach everywhere; here it holds at once.
//!
//! # Not here
//! Permissions boundaries, service control policies, resource policies, chains across accounts, SAML, MFA.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use self::account::Account;
use self::audit::Trail;
use crate::background::{Background, acceptor, listen, serve};
use crate::certificates::Certificate;
use crate::clock::Clock;
use crate::moto::{Emulator, Moto};
use crate::sigv4::Keys;

mod account;
mod answer;
mod assume;
mod audit;
mod authenticate;
mod iam;
mod identity;
mod pass;
mod policy;
mod query;
mod refusal;
mod service;
mod session;
mod tags;
mod token;
mod trouble;
mod web_identity;

pub use account::{ACCOUNT, OidcProvider, Role};
pub(crate) use answer::find as answer_text;
pub use refusal::Refusal;
pub use session::Issued;
pub use trouble::Trouble;

use account::{Holder, KnownUser, known_role, provider_arn};
use policy::{Document, Kind};

/// What the front's handlers share.
#[derive(Debug)]
pub(crate) struct Cloud {
    account: Mutex<Account>,
    pub(crate) clock: Clock,
    trail: Trail,
    trouble: Mutex<Option<Trouble>>,
    emulator: Emulator,
    /// `127.0.0.1:PORT` and `localhost:PORT`: by which names it is called.
    hosts: Vec<String>,
    http: reqwest::Client,
}

impl Cloud {
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key, if it lives and its holder may do that: for services that take signatures and are no part of this front.
    pub(crate) fn admit(&self, access_key: &str, action: &str, resource: &str) -> Result<Keys, Refusal> {
        let now = self.clock.now();
        let account = self.account();
        let (caller, keys) = account.caller(access_key, now)?;
        account.may(&caller, action, resource, &account::context_of(&caller, now))?;
        Ok(keys)
    }

    fn trouble(&self) -> Option<Trouble> {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running front, with its own moto behind it. Both end when it is dropped.
#[derive(Debug)]
pub struct Front {
    cloud: Arc<Cloud>,
    url: String,
    authority: Option<String>,
    moto: Moto,
    background: Background,
}

impl Front {
    /// Starts moto, and the front over plain HTTP on loopback.
    ///
    /// # Errors
    /// What is missing, and which script fetches it.
    pub fn start() -> Result<Self, String> {
        Self::start_over(None)
    }

    /// The same over TLS, for `localhost`, `127.0.0.1` and these names: see [`Self::ca_pem`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_tls(names: &[&str]) -> Result<Self, String> {
        Self::start_over(Some(Certificate::make(names)?))
    }

    fn start_over(certificate: Option<Certificate>) -> Result<Self, String> {
        let background = Background::start()?;
        let tls = certificate.as_ref().map(acceptor).transpose()?;
        let moto = background.run(Moto::start())?;
        let (listener, address) = background.run(listen())?;
        let cloud = Arc::new(Cloud {
            account: Mutex::default(),
            clock: Clock::default(),
            trail: Trail::default(),
            trouble: Mutex::new(None),
            emulator: moto.caller(),
            hosts: vec![format!("127.0.0.1:{}", address.port()), format!("localhost:{}", address.port())],
            http: crate::moto::client()?,
        });
        background.spawn(serve(listener, tls, service::router(Arc::clone(&cloud))));
        let url = match certificate {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        Ok(Self { cloud, url, authority: certificate.map(|own| own.authority), moto, background })
    }

    /// What clients are told as `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that vouches for its certificate, in PEM, where it speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The emulator behind it.
    #[must_use]
    pub const fn moto(&self) -> &Moto {
        &self.moto
    }

    /// Registers an OIDC provider; gives its ARN, for trust policies.
    pub fn oidc_provider(&self, provider: OidcProvider) -> String {
        let arn = provider_arn(&provider.url);
        self.cloud.account().providers.insert(provider.url.clone(), provider);
        arn
    }

    /// Registers a role, or another definition of it; gives its ARN.
    ///
    /// # Errors
    /// What is wrong with its policies.
    pub fn role(&self, role: &Role) -> Result<String, String> {
        let known = self.cloud.account().roles.get(&role.name).map(|known| known.id.clone());
        let id = if let Some(id) = known {
            id
        } else {
            known_role(role, String::new())?;
            let (emulator, name, trust) = (self.cloud.emulator.clone(), role.name.clone(), role.trust.clone());
            self.background.run(async move { emulator.role(&name, &trust).await })?
        };
        let known = known_role(role, id)?;
        let arn = known.arn.clone();
        self.cloud.account().roles.insert(role.name.clone(), known);
        Ok(arn)
    }

    /// Makes a user with this policy; gives its key.
    ///
    /// # Errors
    /// What is wrong with the policy, or that the user is there.
    pub fn user(&self, name: &str, policy: &str) -> Result<Keys, String> {
        let policy = Document::parse(policy, Kind::Identity)?;
        let (emulator, asked) = (self.cloud.emulator.clone(), name.to_owned());
        let (id, keys) = self.background.run(async move { emulator.user(&asked).await })?;
        let mut account = self.cloud.account();
        let arn = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
        account.users.insert(name.to_owned(), KnownUser { arn, id, policy });
        account.keys.insert(keys.access_key.clone(), Holder::User { name: name.to_owned(), keys: keys.clone() });
        Ok(keys)
    }

    /// Makes a managed policy that sessions may name; gives its ARN.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn managed_policy(&self, name: &str, text: &str) -> Result<String, String> {
        Document::parse(text, Kind::Identity)?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{name}");
        self.cloud.account().managed.insert(arn.clone(), text.to_owned());
        Ok(arn)
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// What moto says.
    pub fn bucket(&self, name: &str) -> Result<(), String> {
        let (emulator, name) = (self.cloud.emulator.clone(), name.to_owned());
        self.background.run(async move { emulator.bucket(&name).await })
    }

    /// Gets STS and IAM into trouble, or out of it; the clock is then the trouble's, or the machine's.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        *self.cloud.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        self.cloud.clock.set_ahead(trouble.map_or(0, Trouble::clock));
    }

    /// Sets the front's clock so many seconds ahead of the machine's; behind, if negative.
    pub fn clock_ahead(&self, seconds: i64) {
        self.cloud.clock.set_ahead(seconds);
    }

    /// Everything that was asked, as CloudTrail has it with data events on: oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        self.cloud.trail.all()
    }

    /// The events that hold this text anywhere.
    #[must_use]
    pub fn audit_naming(&self, text: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|event| event.to_string().contains(text)).collect()
    }

    /// The session of an access key, whether or not it has ended: what was asked for it, and its end.
    #[must_use]
    pub fn session(&self, access_key: &str) -> Option<Issued> {
        match self.cloud.account().keys.get(access_key)? {
            Holder::Session(session) => Some(Issued::of(session)),
            Holder::User { .. } => None,
        }
    }

    /// Every session that was given out, in no order.
    #[must_use]
    pub fn sessions(&self) -> Vec<Issued> {
        let account = self.cloud.account();
        let sessions = account.keys.values().filter_map(|holder| match holder {
            Holder::Session(session) => Some(Issued::of(session)),
            Holder::User { .. } => None,
        });
        sessions.collect()
    }

    /// The inline policies of a role, by name.
    #[must_use]
    pub fn role_policies(&self, role: &str) -> BTreeMap<String, String> {
        let account = self.cloud.account();
        let policies = account.roles.get(role).into_iter().flat_map(|role| &role.policies);
        policies.map(|(name, (text, _))| (name.clone(), text.clone())).collect()
    }

    /// Who stands behind a presigned GetCallerIdentity, whatever host of STS it is for: what EKS asks of a token.
    ///
    /// # Errors
    /// STS's refusal.
    pub fn who(&self, presigned: &str, headers: &[(&str, &str)]) -> Result<String, Refusal> {
        identity::presigned(&self.cloud, presigned, headers)
    }

    pub(crate) fn cloud(&self) -> Arc<Cloud> {
        Arc::clone(&self.cloud)
    }
}
