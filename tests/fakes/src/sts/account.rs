//! The account: who is in it, which sessions were given out, and what each may do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::policy::{Context, Decision, Document, Kind};
use super::refusal::Refusal;
use crate::clock;
use crate::sigv4::Keys;

/// The account that moto has.
pub const ACCOUNT: &str = "123456789012";

/// An OIDC provider to be registered, as IAM's CreateOpenIDConnectProvider takes it.
#[derive(Debug, Clone)]
pub struct OidcProvider {
    /// The issuer, exactly as tokens name it: `https://...`; `http://127.0.0.1...` of a test's own issuer is taken too, which AWS
    /// would not do.
    pub url: String,
    /// The audiences that are taken.
    pub client_ids: Vec<String>,
    /// The authority that vouches for the issuer's certificate. AWS trusts public authorities.
    pub ca_pem: Option<String>,
    /// Where the issuer's name leads, if not where DNS says.
    pub at: Option<SocketAddr>,
}

/// A role to be registered, as IAM's CreateRole and PutRolePolicy take it.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name, which stands last in its ARN.
    pub name: String,
    /// Its trust policy.
    pub trust: String,
    /// Its permissions: inline policies by name.
    pub policies: BTreeMap<String, String>,
    /// The longest session in seconds, 3600 to 43200.
    pub longest: u32,
}

#[derive(Debug)]
pub(crate) struct KnownRole {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) trust: Document,
    pub(crate) longest: u32,
    pub(crate) policies: BTreeMap<String, (String, Document)>,
}

#[derive(Debug)]
pub(crate) struct KnownUser {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) policy: Document,
}

/// A session of a role.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) keys: Keys,
    pub(crate) role: String,
    pub(crate) role_arn: String,
    pub(crate) role_id: String,
    pub(crate) name: String,
    pub(crate) source_identity: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) transitive: BTreeSet<String>,
    pub(crate) policies: Vec<(String, Document)>,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    /// The provider's ARN, where a web identity asked.
    pub(crate) federated: Option<String>,
}

impl Session {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/{}", self.role, self.name)
    }

    pub(crate) fn user_id(&self) -> String {
        format!("{}:{}", self.role_id, self.name)
    }
}

/// Whose an access key is.
#[derive(Debug, Clone)]
pub(crate) enum Holder {
    User { name: String, keys: Keys },
    Session(Arc<Session>),
}

/// Somebody whose signature was verified.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) access_key: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) session: Option<Arc<Session>>,
    /// A user's name.
    pub(crate) user: Option<String>,
}

impl Caller {
    /// By which ARNs a trust policy may name it.
    pub(crate) fn names(&self) -> Vec<String> {
        let role = self.session.as_ref().map(|session| session.role_arn.clone());
        std::iter::once(self.arn.clone()).chain(role).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) roles: BTreeMap<String, KnownRole>,
    pub(crate) users: BTreeMap<String, KnownUser>,
    pub(crate) providers: BTreeMap<String, OidcProvider>,
    pub(crate) managed: BTreeMap<String, String>,
    pub(crate) keys: BTreeMap<String, Holder>,
}

/// The ARN of the provider of an issuer.
pub(crate) fn provider_arn(issuer: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{}", without_scheme(issuer))
}

/// What stands before the colon in condition keys.
pub(crate) fn without_scheme(issuer: &str) -> &str {
    issuer.split_once("://").map_or(issuer, |(_, rest)| rest)
}

/// The ARN of a role of this account.
pub(crate) fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

impl Account {
    pub(crate) fn role_by_arn(&self, arn: &str) -> Option<&KnownRole> {
        self.roles.values().find(|role| role.arn == arn)
    }

    /// Whose key that is.
    pub(crate) fn caller(&self, access_key: &str, now: i64) -> Result<(Caller, Keys), Refusal> {
        let unknown = || {
            let words = "The security token included in the request is invalid.";
            Refusal::new(403, "InvalidClientTokenId", words)
        };
        let access_key = access_key.to_owned();
        match self.keys.get(&access_key).ok_or_else(unknown)? {
            Holder::User { name, keys } => {
                let user = self.users.get(name).ok_or_else(unknown)?;
                let (arn, user_id) = (user.arn.clone(), user.id.clone());
                Ok((Caller { access_key, arn, user_id, session: None, user: Some(name.clone()) }, keys.clone()))
            }
            Holder::Session(session) if now >= session.expires => {
                let words = "The security token included in the request is expired";
                Err(Refusal::new(403, "ExpiredToken", words))
            }
            Holder::Session(session) => {
                let (arn, user_id) = (session.arn(), session.user_id());
                let session = Some(Arc::clone(session));
                let keys = session.as_ref().map(|session| session.keys.clone()).ok_or_else(unknown)?;
                Ok((Caller { access_key, arn, user_id, session, user: None }, keys))
            }
        }
    }

    /// Whether the caller's own policies, and those of its session, let it: a denial anywhere wins, and every kind of policy
    /// that there is must allow.
    pub(crate) fn may(&self, caller: &Caller, action: &str, resource: &str, context: &Context) -> Result<(), Refusal> {
        let own: Vec<&Document> = match (&caller.session, &caller.user) {
            (Some(session), _) => {
                let role =
                    self.roles.get(&session.role).map(|role| role.policies.values().map(|(_, document)| document));
                role.into_iter().flatten().collect()
            }
            (None, Some(user)) => self.users.get(user).map(|user| &user.policy).into_iter().collect(),
            (None, None) => Vec::new(),
        };
        let given: Vec<&Document> =
            caller.session.iter().flat_map(|session| session.policies.iter().map(|(_, document)| document)).collect();
        let decide = |documents: &[&Document]| {
            let decisions: Vec<Decision> =
                documents.iter().map(|document| document.decide(action, resource, context)).collect();
            match (decisions.contains(&Decision::Deny), decisions.contains(&Decision::Allow)) {
                (true, _) => Decision::Deny,
                (false, true) => Decision::Allow,
                (false, false) => Decision::Nothing,
            }
        };
        let why = match (decide(&own), given.is_empty(), decide(&given)) {
            (Decision::Deny, _, _) => "with an explicit deny in an identity-based policy".to_owned(),
            (_, _, Decision::Deny) => "with an explicit deny in a session policy".to_owned(),
            (Decision::Nothing, _, _) => format!("because no identity-based policy allows the {action} action"),
            (Decision::Allow, false, Decision::Nothing) => {
                format!("because no session policy allows the {action} action")
            }
            (Decision::Allow, _, _) => return Ok(()),
        };
        let arn = &caller.arn;
        Err(Refusal::denied(format!(
            "User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"
        )))
    }
}

/// What is known of a caller to every policy.
pub(crate) fn context_of(caller: &Caller, now: i64) -> Context {
    let mut context = Context::default();
    context.set("aws:CurrentTime", clock::iso(now));
    context.set("aws:EpochTime", now.to_string());
    context.set("aws:PrincipalAccount", ACCOUNT);
    context.set("aws:userid", caller.user_id.clone());
    if let Some(user) = &caller.user {
        context.set("aws:username", user.clone());
        context.set("aws:PrincipalArn", caller.arn.clone());
        context.set("aws:PrincipalType", "User");
    }
    if let Some(session) = &caller.session {
        context.set("aws:PrincipalArn", session.role_arn.clone());
        context.set("aws:PrincipalType", "AssumedRole");
        context.set("aws:TokenIssueTime", clock::iso(session.issued));
        for (key, value) in &session.tags {
            context.set(&format!("aws:PrincipalTag/{key}"), value.clone());
        }
        if let Some(identity) = &session.source_identity {
            context.set("aws:SourceIdentity", identity.clone());
        }
        if let Some(provider) = &session.federated {
            context.set("aws:FederatedProvider", provider.clone());
        }
    }
    context
}

/// Reads a role's definition.
pub(crate) fn known_role(role: &Role, id: String) -> Result<KnownRole, String> {
    if !(3600..=43200).contains(&role.longest) {
        return Err(format!("role `{}`: its longest session is not within 3600 and 43200 s", role.name));
    }
    let trust = Document::parse(&role.trust, Kind::Trust)?;
    let mut policies = BTreeMap::new();
    for (name, text) in &role.policies {
        policies.insert(name.clone(), (text.clone(), Document::parse(text, Kind::Identity)?));
    }
    let (name, arn) = (role.name.clone(), role_arn(&role.name));
    Ok(KnownRole { name, arn, id, trust, longest: role.longest, policies })
}
