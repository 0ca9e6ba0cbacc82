//! One project of Google's, as its policies see it: pools, service accounts, buckets, keys, and the tokens that were given out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;

use super::cel::{Expression, Scope};
use super::kms::{Key, Spoilt};
use super::refusal::Refusal;
use super::{Texts, Trouble};
use crate::random_hex;

/// The project's number.
pub const NUMBER: &str = "123456789012";
/// Its id.
pub const PROJECT: &str = "acme-prod";

/// A provider of a workload identity pool (OIDC).
#[derive(Debug, Clone)]
pub struct PoolProvider {
    /// The pool's id.
    pub pool: String,
    /// Its own.
    pub id: String,
    /// The issuer that it trusts.
    pub issuer: String,
    /// Audiences beside the provider itself, which alone is meant where there are none.
    pub allowed_audiences: Vec<String>,
    /// Attributes and what they are of a token, `google.subject` among them.
    pub mapping: Texts,
    /// What must hold of a token.
    pub condition: Option<String>,
    /// The authority that vouches for the issuer's certificate; the system's where there is none.
    pub ca_pem: Option<String>,
    /// Where the issuer's host is, if not where its name leads to.
    pub at: Option<SocketAddr>,
}

impl PoolProvider {
    /// One that maps the token's subject, and trusts whatever the issuer signs for it.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        Self {
            pool: "writ".to_owned(),
            id: "writ".to_owned(),
            issuer: issuer.to_owned(),
            allowed_audiences: Vec::new(),
            mapping: Texts::from([("google.subject".to_owned(), "assertion.sub".to_owned())]),
            condition: None,
            ca_pem: None,
            at: None,
        }
    }
}

/// A service account, and its own policy.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its address.
    pub email: String,
    /// Who may do what with it: role and member, to the letter.
    pub bindings: Vec<(String, String)>,
    /// The longest access token, in seconds: 3600 unless the organization lets it have more.
    pub longest: i64,
    /// Roles that it has in the project.
    pub roles: Vec<String>,
}

impl Account {
    /// One that these members may act as.
    #[must_use]
    pub fn of(email: &str, members: &[&str]) -> Self {
        let bindings = members.iter().map(|member| ("roles/iam.workloadIdentityUser".to_owned(), (*member).to_owned()));
        Self { email: email.to_owned(), bindings: bindings.collect(), longest: 3_600, roles: Vec::new() }
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access token of a service account, or of a machine that is one.
    Access,
    /// An access token behind a boundary.
    Bounded,
    /// An access token of a pool's principal.
    Federated,
    /// An ID token.
    Identity,
}

/// A token that was given out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What it is.
    pub kind: Kind,
    /// Whose: an address, or a `principal://`.
    pub principal: String,
    /// The principal and the sets of principals that it stands for in policies.
    pub members: BTreeSet<String>,
    /// The number of the service account.
    pub number: String,
    /// OAuth scopes.
    pub scopes: Vec<String>,
    /// For whom an ID token is.
    pub audience: Option<String>,
    /// The rules of its boundary.
    pub boundary: Option<Value>,
    /// When it was given, in seconds since 1970.
    pub issued: i64,
    /// Its end.
    pub expires: i64,
    /// The reason of the request that it was given for.
    pub reason: Option<String>,
}

/// A bucket, its objects, and its policy.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: Texts,
    pub(crate) bindings: Vec<(String, String)>,
}

struct KnownProvider {
    provider: PoolProvider,
    mapping: BTreeMap<String, Expression>,
    condition: Option<Expression>,
}

struct KnownAccount {
    account: Account,
    number: String,
}

/// The project.
#[derive(Default)]
pub(crate) struct Project {
    providers: BTreeMap<String, KnownProvider>,
    accounts: BTreeMap<String, KnownAccount>,
    pub(crate) buckets: BTreeMap<String, Bucket>,
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) secrets: BTreeMap<String, super::secrets::Stored>,
    pub(crate) spoilt: Option<Spoilt>,
    pub(crate) tokens: BTreeMap<String, Issued>,
}

/// A pool's principal, and the sets that it is in.
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<String>,
}

impl Project {
    pub(crate) fn provide(&mut self, provider: PoolProvider) -> Result<String, String> {
        let plain = |text: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (4..=32).contains(&text.len()) && text.bytes().all(inner)
        };
        if !plain(&provider.pool) || !plain(&provider.id) {
            return Err("pool and provider have ids of 4 to 32 of `a-z0-9-`".to_owned());
        }
        let subject = provider.mapping.get("google.subject").ok_or("the mapping has no `google.subject`")?;
        if subject.is_empty() {
            return Err("`google.subject` is mapped to nothing".to_owned());
        }
        let known = |name: &str| name == "google.subject" || name == "google.groups" || name.starts_with("attribute.");
        let mut mapping = BTreeMap::new();
        for (name, text) in &provider.mapping {
            if !known(name) {
                return Err(format!("`{name}` is no attribute"));
            }
            let read = Expression::parse(text).map_err(|why| format!("the mapping of `{name}`: {why}"))?;
            mapping.insert(name.clone(), read);
        }
        let condition = provider.condition.as_deref().map(Expression::parse).transpose();
        let condition = condition.map_err(|why| format!("the condition: {why}"))?;
        let (pool, id) = (&provider.pool, &provider.id);
        let name = format!("projects/{NUMBER}/locations/global/workloadIdentityPools/{pool}/providers/{id}");
        self.providers.insert(name.clone(), KnownProvider { provider, mapping, condition });
        Ok(name)
    }

    pub(crate) fn account(&mut self, account: Account) -> Result<(), String> {
        let known = ["roles/iam.workloadIdentityUser", "roles/iam.serviceAccountTokenCreator"];
        for (role, member) in &account.bindings {
            let kinds = ["principal://iam.googleapis.com/", "principalSet://iam.googleapis.com/", "serviceAccount:"];
            if !known.contains(&role.as_str()) || !kinds.iter().any(|kind| member.starts_with(kind)) {
                return Err(format!("`{role}` for `{member}` is not known here"));
            }
        }
        let number = match self.accounts.get(&account.email) {
            Some(known) => known.number.clone(),
            None => format!("1{:020}", self.accounts.len() + 7),
        };
        self.accounts.insert(account.email.clone(), KnownAccount { account, number });
        Ok(())
    }

    pub(crate) fn bucket(&mut self, name: &str, object: &str, content: &str, bindings: &[(&str, &str)]) {
        let bucket = self.buckets.entry(name.to_owned()).or_default();
        bucket.objects.insert(object.to_owned(), content.to_owned());
        let bindings = bindings.iter().map(|(role, member)| ((*role).to_owned(), (*member).to_owned()));
        bucket.bindings.extend(bindings);
    }

    pub(crate) fn key(&mut self, name: &str, key: Key) -> String {
        let name =
            format!("projects/{PROJECT}/locations/europe-west1/keyRings/writ/cryptoKeys/{name}/cryptoKeyVersions/1");
        self.keys.insert(name.clone(), key);
        name
    }

    pub(crate) fn machine_token(&mut self, email: &str, now: i64) -> Result<String, String> {
        let scopes = vec!["https://www.googleapis.com/auth/cloud-platform".to_owned()];
        let issued = self.of_account(email, Kind::Access, scopes, (now, now + 3_600)).ok_or("no such account")?;
        self.give("ya29.c.", issued)
    }

    /// A token of an account's, not yet given.
    pub(crate) fn of_account(
        &self,
        email: &str,
        kind: Kind,
        scopes: Vec<String>,
        (issued, expires): (i64, i64),
    ) -> Option<Issued> {
        let known = self.accounts.get(email)?;
        Some(Issued {
            kind,
            principal: email.to_owned(),
            members: BTreeSet::from([format!("serviceAccount:{email}")]),
            number: known.number.clone(),
            scopes,
            audience: None,
            boundary: None,
            issued,
            expires,
            reason: None,
        })
    }

    /// Gives a token out, under a name that nobody can guess.
    pub(crate) fn give(&mut self, prefix: &str, issued: Issued) -> Result<String, String> {
        let token = format!("{prefix}{}", random_hex(64)?);
        self.tokens.insert(token.clone(), issued);
        Ok(token)
    }

    /// The provider that STS is told of.
    pub(crate) fn provider(&self, audience: &str) -> Option<PoolProvider> {
        let name = audience.strip_prefix("//iam.googleapis.com/")?;
        Some(self.providers.get(name)?.provider.clone())
    }

    /// What tokens for a provider may be for.
    pub(crate) fn audiences(provider: &PoolProvider, audience: &str) -> Vec<String> {
        if provider.allowed_audiences.is_empty() {
            return vec![audience.to_owned(), format!("https:{audience}")];
        }
        provider.allowed_audiences.clone()
    }

    /// Whom verified claims name, by mapping and condition.
    pub(crate) fn principal(&self, audience: &str, claims: &Value) -> Result<Principal, Refusal> {
        let known = audience.strip_prefix("//iam.googleapis.com/").and_then(|name| self.providers.get(name));
        let known = known.ok_or_else(|| Refusal::oauth(400, "invalid_target", "no such provider"))?;
        let mut scope = Scope::from([("assertion".to_owned(), claims.clone())]);
        let mut mapped: BTreeMap<&str, String> = BTreeMap::new();
        for (name, expression) in &known.mapping {
            let text = expression.text(&scope).map_err(|why| {
                Refusal::grant(format!("The mapped attribute {name} could not be computed from the assertion: {why}."))
            })?;
            mapped.insert(name, text);
        }
        let subject = mapped.get("google.subject").cloned().unwrap_or_default();
        if subject.is_empty() || subject.len() > 127 {
            let words = "The size of mapped attribute google.subject exceeds the 127 bytes limit. Either modify your attribute mapping \
                         or the incoming assertion to produce a mapped attribute that is less than 127 bytes.";
            return Err(Refusal::grant(words));
        }
        let attributes: serde_json::Map<String, Value> = mapped
            .iter()
            .filter_map(|(name, text)| Some((name.strip_prefix("attribute.")?.to_owned(), text.clone().into())))
            .collect();
        let google = serde_json::json!({ "subject": subject });
        scope.extend([("google".to_owned(), google), ("attribute".to_owned(), attributes.clone().into())]);
        if known.condition.as_ref().is_some_and(|condition| condition.holds(&scope) != Ok(true)) {
            let words = "The given credential is rejected by the attribute condition.";
            return Err(Refusal::oauth(400, "unauthorized_client", words));
        }
        let pool = &known.provider.pool;
        let pool = format!("iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/{pool}");
        let name = format!("principal://{pool}/subject/{subject}");
        let sets = attributes
            .iter()
            .filter_map(|(name, value)| Some(format!("principalSet://{pool}/attribute.{name}/{}", value.as_str()?)));
        let mut members: BTreeSet<String> = sets.collect();
        members.extend([name.clone(), format!("principalSet://{pool}/*")]);
        Ok(Principal { name, members })
    }

    /// The living token that a request shows.
    pub(crate) fn shown(&self, authorization: Option<&str>, now: i64) -> Result<Issued, Refusal> {
        let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
        let issued = token.and_then(|token| self.tokens.get(token));
        let living = issued.filter(|issued| issued.expires > now && issued.kind != Kind::Identity);
        living.cloned().ok_or_else(Refusal::unauthenticated)
    }

    /// The account, if whoever shows a token may make tokens of it, through the delegates.
    pub(crate) fn acting(
        &self,
        caller: &Issued,
        delegates: &[String],
        email: &str,
        permission: &str,
        trouble: Option<Trouble>,
    ) -> Result<Account, Refusal> {
        let denied = |email: &str| {
            Refusal::permission(permission, &format!("projects/-/serviceAccounts/{email}").replace("projects/-/", ""))
        };
        let creator = "roles/iam.serviceAccountTokenCreator";
        let mut members = caller.members.clone();
        for email in delegates.iter().map(String::as_str).chain([email]) {
            let known = self.accounts.get(email).ok_or_else(|| denied(email))?;
            let may = |(role, member): &(String, String)| {
                let role = role == creator || (delegates.is_empty() && role == "roles/iam.workloadIdentityUser");
                role && members.contains(member)
            };
            if trouble == Some(Trouble::Untrusted) || !known.account.bindings.iter().any(may) {
                return Err(denied(email));
            }
            members = BTreeSet::from([format!("serviceAccount:{email}")]);
        }
        self.accounts.get(email).map(|known| known.account.clone()).ok_or_else(|| denied(email))
    }

    /// Whether an account has a role in the project.
    pub(crate) fn has_role(&self, email: &str, role: &str) -> bool {
        self.accounts.get(email).is_some_and(|known| known.account.roles.iter().any(|known| known == role))
    }
}
