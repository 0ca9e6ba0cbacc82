//! What the broker needs in the cluster, and the manifest that gives it.
//!
//! In the namespaces of its service accounts: to make their tokens, and to make, list and delete Secrets. RBAC has no right
//! to list that is not a right to read, so those namespaces should hold nothing but these accounts.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Resource as _;
use kube::core::Request;
use kube::core::params::PostParams;
use serde_json::{Value, json};
use writ_core::provider::ProviderFault;
use writ_provider_calls::plain;

use crate::account::Account;
use crate::call::{Answer, Session};

/// What the role is called that the manifest makes.
const ROLE: &str = "writ-broker";

/// What is needed in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    /// Where.
    pub(crate) namespace: String,
    /// The accounts there whose tokens the broker makes.
    pub(crate) accounts: Vec<String>,
}

impl Right {
    /// Those for `accounts`, one for each namespace.
    pub(crate) fn of<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> Vec<Self> {
        let mut rights: Vec<Self> = Vec::new();
        for account in accounts {
            let name = account.name().to_owned();
            match rights.iter_mut().find(|right| right.namespace == account.namespace()) {
                Some(right) => right.accounts.push(name),
                None => rights.push(Self { namespace: account.namespace().to_owned(), accounts: vec![name] }),
            }
        }
        rights
    }

    fn objects(&self, subject: &Value) -> [Value; 2] {
        let (api, meta) = ("rbac.authorization.k8s.io", json!({ "name": ROLE, "namespace": self.namespace }));
        let role = json!({
            "apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": meta,
            "rules": [
                { "apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "list", "delete"] },
                {
                    "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"],
                    "resourceNames": self.accounts,
                },
            ],
        });
        let binding = json!({
            "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": meta, "subjects": [subject],
            "roleRef": { "apiGroup": api, "kind": "Role", "name": ROLE },
        });
        [role, binding]
    }
}

/// To do `verb` to Secrets.
pub(crate) fn secrets(namespace: &str, verb: &str) -> ResourceAttributes {
    ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        resource: Some("secrets".to_owned()),
        ..ResourceAttributes::default()
    }
}

/// To make tokens of an account.
pub(crate) fn tokens(account: &Account) -> ResourceAttributes {
    ResourceAttributes {
        namespace: Some(account.namespace().to_owned()),
        verb: Some("create".to_owned()),
        resource: Some("serviceaccounts".to_owned()),
        subresource: Some("token".to_owned()),
        name: Some(account.name().to_owned()),
        ..ResourceAttributes::default()
    }
}

/// Whether whoever asks has the right to `what`.
pub(crate) async fn allowed(doing: &str, session: &Session<'_>, what: ResourceAttributes) -> Answer<bool> {
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(what), ..Default::default() };
    let review = serde_json::to_vec(&SelfSubjectAccessReview { spec, ..Default::default() }).unwrap_or_default();
    let request = Request::new(SelfSubjectAccessReview::url_path(&(), None)).create(&PostParams::default(), review);
    let answer: Answer<SelfSubjectAccessReview> = session.ask(doing, request).await;
    Ok(answer?.map(|review| review.status.is_some_and(|status| status.allowed)))
}

/// The fault of whoever lacks a right, with the manifest that gives all that is needed, on one line of JSON.
pub(crate) async fn missing(doing: &str, words: &str, session: &Session<'_>) -> ProviderFault {
    // Only for the text: if it cannot be had, a placeholder says what belongs there.
    let user = whoami(session).await.ok().and_then(Result::ok).and_then(|review| username(&review));
    let subject = subject(&user.map_or_else(|| "USER".to_owned(), |user| plain(&user)));
    let objects: Vec<Value> = session.cluster().needed().iter().flat_map(|right| right.objects(&subject)).collect();
    let manifest = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    ProviderFault::Misconfigured(format!(
        "{doing}: {words}: give it what it needs with `kubectl apply -f -` of: {manifest}"
    ))
}

/// As whom the API server sees whoever asks.
pub(crate) async fn whoami(session: &Session<'_>) -> Answer<SelfSubjectReview> {
    let request = Request::new(SelfSubjectReview::url_path(&(), None));
    let review = serde_json::to_vec(&SelfSubjectReview::default()).unwrap_or_default();
    session.ask("asking who the broker is", request.create(&PostParams::default(), review)).await
}

pub(crate) fn username(review: &SelfSubjectReview) -> Option<String> {
    review.status.as_ref()?.user_info.as_ref()?.username.clone()
}

fn subject(user: &str) -> Value {
    match Account::of_principal(user) {
        Some(account) => {
            json!({ "kind": "ServiceAccount", "name": account.name(), "namespace": account.namespace() })
        }
        None => json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }),
    }
}
