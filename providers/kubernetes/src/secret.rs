//! One key of one Secret, for targets that know nothing better than a password: read by its name, each time that it is needed, and
//! replaced there where it is changed in turns.
//!
//! It is apart from the provider, which never reads a Secret: whoever configures it gives the broker the right to `get` this
//! Secret, and no other.

use core::fmt;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1 as core_v1;
use kube::Resource as _;
use kube::core::Request;
use kube::core::params::{GetParams, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use writ_core::assertion::Assertions;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::{Address, TargetName, UpstreamTls};
use writ_provider_calls::{plain, within};
use writ_provider_source::{Fetched, SecretKeeper, SecretSource};
use zeroize::Zeroize as _;

use crate::access::{self, Access};
use crate::account::Account;
use crate::call::{Answer, Cluster, Denied};
use crate::config::{AssertionConfig, ConfigFault, KubernetesConfig};
use crate::fault;
use crate::provider::Seams;

/// How long the API server may take at most.
const LIMIT: Duration = Duration::from_secs(10);

/// The Secret, and how the broker is let into its cluster: exactly one of `kubeconfig`, `in_cluster` and `assertion`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSecretConfig {
    /// The Secret, `namespace/name`.
    pub secret: String,
    /// The key in it.
    pub key: String,
    /// A kubeconfig file with the cluster's address and the broker's own token or client certificate.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; left out, its `current-context`.
    pub context: Option<String>,
    /// Whether the broker runs in the cluster, in a pod, and is let in by its service account.
    #[serde(default)]
    pub in_cluster: bool,
    /// The cluster trusts Writ's own issuer.
    pub assertion: Option<AssertionConfig>,
    /// Where the cluster is, with `assertion`: `https://host:port`.
    pub server: Option<String>,
    /// The authority that vouches for it, in PEM; left out, the system's.
    pub ca_file: Option<PathBuf>,
}

impl KubernetesSecretConfig {
    /// Checks everything that can be checked without the cluster.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.place()?;
        let key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.key.is_empty() || self.key.len() > 253 || !self.key.bytes().all(key) {
            return Err(ConfigFault::new("`key` is no key of a Secret: write the one that holds the password"));
        }
        // It makes no tokens: an account stands in so that the rest is checked as it is there.
        let access = KubernetesConfig { service_account: Some("writ/writ".to_owned()), ..self.access() };
        access.validate()?;
        match (&self.assertion, &self.server) {
            (Some(_), Some(server)) => access::server("server", server).map(drop),
            (Some(_), None) => Err(ConfigFault::new("`assertion` needs `server`: write `https://host:port`")),
            (None, None) if self.ca_file.is_none() => Ok(()),
            (None, _) => Err(ConfigFault::new("`server` and `ca_file` go with `assertion`: leave them out")),
        }
    }

    fn place(&self) -> Result<Account, ConfigFault> {
        let wrong = |_| ConfigFault::new("`secret` names no Secret: write `namespace/name`");
        Account::parse(&self.secret).map_err(wrong)
    }

    fn access(&self) -> KubernetesConfig {
        KubernetesConfig {
            service_account: None,
            service_accounts: Vec::new(),
            audience: None,
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            in_cluster: self.in_cluster,
            eks: None,
            aks: None,
            gke: None,
            assertion: self.assertion.clone(),
            call_timeout_ms: 10_000,
            sweep_limit: 1,
        }
    }

    fn address(&self) -> Result<Address, ConfigFault> {
        let server = self.server.as_deref().map(|text| access::server("server", text)).transpose()?;
        let host = server.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = server.as_ref().and_then(|url| url.port_or_known_default()).unwrap_or(443);
        let pem = self.ca_file.as_deref().map(access::read).transpose()?;
        let ca_pem = pem.map(String::from_utf8).transpose();
        let ca_pem = ca_pem.map_err(|_| ConfigFault::new("`ca_file` has no certificate of an authority in PEM"))?;
        Ok(Address { host, port, tls: UpstreamTls::VerifyFull, ca_pem })
    }
}

/// Reads one key of one Secret.
pub struct KubernetesSecret {
    secret: Account,
    key: String,
    cluster: Cluster,
}

impl fmt::Debug for KubernetesSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("KubernetesSecret");
        shown.field("secret", &self.secret).field("key", &self.key).finish_non_exhaustive()
    }
}

/// A Secret's contents, in Base64.
#[derive(Deserialize)]
struct Contents {
    metadata: Metadata,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    resource_version: String,
}

#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Data(BTreeMap<String, String>);

impl Drop for Data {
    fn drop(&mut self) {
        self.0.values_mut().for_each(zeroize::Zeroize::zeroize);
    }
}

impl KubernetesSecret {
    /// Checks the configuration and reads the files that it names. Does not connect.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &KubernetesSecretConfig, assertions: Option<Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        config.validate()?;
        let seams = Seams { assertions, ..Seams::default() };
        let access = Access::chosen(&config.access(), &config.address()?, seams)?;
        let cluster = Cluster::new(access, Vec::new(), LIMIT)?;
        Ok(Self { secret: config.place()?, key: config.key.clone(), cluster })
    }

    async fn fetched(
        &self,
        target: &TargetName,
        intended: Option<&Intended>,
        limit: Duration,
    ) -> Result<Fetched, ProviderFault> {
        let doing = format!("reading {}", self.named());
        let session = self.cluster.session(target, intended, Instant::now() + limit).await?;
        let path = Request::new(core_v1::Secret::url_path(&(), Some(self.secret.namespace())));
        let asked: Answer<Contents> = session.ask(&doing, path.get(self.secret.name(), &GetParams::default())).await;
        let contents = asked?.map_err(|denied| self.no(&doing, "get", &denied))?;
        let absent = || ProviderFault::Misconfigured(format!("{doing}: it has no such key: correct `key`"));
        let mut value = contents.data.0.get(&self.key).ok_or_else(absent)?.clone();
        let decoded = STANDARD.decode(&value);
        value.zeroize();
        let decoded = decoded.map_err(|_| ProviderFault::Refused(format!("{doing}: its value is no Base64")))?;
        if decoded.is_empty() {
            return Err(ProviderFault::Misconfigured(format!("{doing}: it is empty: put the password there")));
        }
        Ok(Fetched { value: Secret::new(decoded), label: self.label(&contents) })
    }

    fn label(&self, contents: &Contents) -> String {
        let version = plain(&contents.metadata.resource_version);
        format!("kubernetes-secret:{}#{}@{version}", self.secret, self.key)
    }

    /// Puts the value where `before` was, and nothing else: if the Secret has still the version that was read.
    async fn put(
        &self,
        target: &TargetName,
        before: &Fetched,
        value: &Secret,
        limit: Duration,
    ) -> Result<String, ProviderFault> {
        let doing = format!("writing {}", self.named());
        // Without a version the API server would write over whatever is there.
        let (_, version) = before.label.rsplit_once('@').unwrap_or_default();
        if version.is_empty() {
            let text = format!(
                "{doing}: the API server gave it no `resourceVersion`, so that nobody could tell a change meanwhile"
            );
            return Err(ProviderFault::Refused(text));
        }
        let session = self.cluster.session(target, None, Instant::now() + limit).await?;
        let path = Request::new(core_v1::Secret::url_path(&(), Some(self.secret.namespace())));
        let mut encoded = STANDARD.encode(value.expose());
        let mut change = json!({
            "metadata": { "resourceVersion": version }, "data": { self.key.as_str(): encoded.as_str() },
        });
        encoded.zeroize();
        let patch = path.patch(self.secret.name(), &PatchParams::default(), &Patch::Merge(&change));
        if let Some(Value::String(data)) = change.pointer_mut(&format!("/data/{}", self.key)) {
            data.zeroize();
        }
        let asked: Answer<Contents> = session.ask(&doing, patch).await;
        asked?.map(|contents| self.label(&contents)).map_err(|denied| match denied.code {
            409 => ProviderFault::Refused(format!(
                "{doing}: it was changed by somebody else meanwhile, and is left as it is: {}",
                denied.words
            )),
            _ => self.no(&doing, "patch", &denied),
        })
    }

    fn no(&self, doing: &str, verb: &str, denied: &Denied) -> ProviderFault {
        match denied.code {
            401 => fault::unknown(doing, self.cluster.named(), &denied.words),
            403 => {
                let role = json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                    "metadata": { "name": format!("writ-{}", self.secret.name()), "namespace": self.secret.namespace() },
                    "rules": [{
                        "apiGroups": [""], "resources": ["secrets"], "resourceNames": [self.secret.name()],
                        "verbs": if verb == "get" { vec!["get"] } else { vec!["get", verb] },
                    }],
                });
                ProviderFault::Misconfigured(format!(
                    "{doing}: {}: bind the broker's user to this role, made with `kubectl apply -f -`: {role}",
                    denied.words
                ))
            }
            300..=399 => ProviderFault::Misconfigured(format!(
                "{doing}: the API server sends elsewhere (HTTP status {}): name the one that answers",
                denied.code
            )),
            _ => fault::refused(doing, denied),
        }
    }
}

impl SecretSource for KubernetesSecret {
    fn named(&self) -> String {
        format!("the key `{}` of the Secret `{}`", self.key, self.secret)
    }

    fn fetch<'a>(
        &'a self,
        target: &'a TargetName,
        intended: Option<&'a Intended>,
        limit: Duration,
    ) -> Pending<'a, Result<Fetched, ProviderFault>> {
        let limit = limit.min(LIMIT);
        Box::pin(within("reading a Secret", limit, self.fetched(target, intended, limit)))
    }

    fn keeper(&self) -> Result<&dyn SecretKeeper, ConfigFault> {
        Ok(self)
    }
}

impl SecretKeeper for KubernetesSecret {
    fn replace<'a>(
        &'a self,
        target: &'a TargetName,
        before: &'a Fetched,
        value: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<String, ProviderFault>> {
        let limit = limit.min(LIMIT);
        Box::pin(within("writing a Secret", limit, self.put(target, before, value, limit)))
    }
}
