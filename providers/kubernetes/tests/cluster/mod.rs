//! A cluster set up by the examples' own manifests, and its eyes for the kit.

pub(crate) mod https;
mod issuer;
mod trouble;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_core::assertion::Assertions;
use writ_core::credential::Credential;
use writ_core::provider::{Pending, Provider};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_provider_kit::{Harness, LiveSession, Trouble};
use writ_provider_kubernetes::{KubernetesConfig, KubernetesProvider, Seams};
use writ_world::kubernetes::{FORGETS_WITHIN, Kubernetes, Options};

use https::Https;
use issuer::Issuer;

pub(crate) const VIEWER: &str = "writ-access/viewer";
pub(crate) const AUDIENCE: &str = "https://cluster.example";

/// The account of the namespace that no Secret fits into.
const CROWDED: &str = "crowded/viewer";

pub(crate) struct Cluster {
    pub(crate) server: Kubernetes,
    pub(crate) issuer: Issuer,
    pub(crate) provider: KubernetesProvider,
    pub(crate) target: Target,
    pub(crate) http: reqwest::Client,
    pub(crate) broker_token: String,
    down: KubernetesProvider,
    silent: KubernetesProvider,
    troubled: Vec<(Trouble, KubernetesProvider)>,
    _silence: TcpListener,
    _troubles: Vec<Https>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let issuer = Issuer::start();
        let authentication = authentication(&issuer);
        let server =
            Kubernetes::start(&Options { authentication: Some(authentication), ..Options::default() }).unwrap();
        server.apply(SYSTEM).unwrap();
        crowd(&server);
        server.apply(&example("access.yaml")).unwrap();
        server.apply(&example("rights.yaml")).unwrap();
        server.apply(KIT).unwrap();
        let token = server.admin(&["create", "token", "writ-broker", "-n", "writ-system"]).unwrap();
        let broker_token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
        let authority = reqwest::Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
        let kubeconfig = server.kubeconfig("broker", &json!({ "token": broker_token })).unwrap();
        let target = target("cluster", server.port(), server.ca_pem());
        let own = KubernetesConfig {
            service_accounts: vec![CROWDED.to_owned(), "writ-access/deployer".to_owned()],
            ..by_kubeconfig(&kubeconfig)
        };
        let silence = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let elsewhere = |port: u16| by_assertion(port, server.ca_pem(), AUDIENCE, &issuer.trusted);
        let here = |audience: &str, assertions| by_assertion(server.port(), server.ca_pem(), audience, assertions);
        let mut troubled = vec![
            (Trouble::WrongAudience, here("https://another.example", &issuer.trusted)),
            (Trouble::ExpiredAssertion, here(AUDIENCE, &issuer.late)),
            (Trouble::Untrusted, here(AUDIENCE, &issuer.impostor)),
        ];
        let mut troubles = Vec::new();
        for trouble in Trouble::ALL.into_iter().skip(troubled.len()) {
            let before = trouble::before(server.port(), server.ca_pem().to_owned(), trouble);
            troubled.push((trouble, by_assertion(before.port, &before.pem, AUDIENCE, &issuer.trusted)));
            troubles.push(before);
        }
        Self {
            provider: KubernetesProvider::new(&own, &target.address, Seams::default()).unwrap(),
            down: elsewhere(free),
            silent: elsewhere(silence.local_addr().unwrap().port()),
            troubled,
            issuer,
            target,
            http,
            broker_token,
            _silence: silence,
            _troubles: troubles,
            server,
        }
    }

    /// A provider as configured, over the cluster itself.
    pub(crate) fn provider_with(&self, config: KubernetesConfig, seams: Seams) -> KubernetesProvider {
        KubernetesProvider::new(&config, &self.target.address, seams).unwrap()
    }

    /// As whom the API server sees whoever has `token`.
    pub(crate) async fn whoami(&self, token: &str) -> Option<Value> {
        whoami(&self.http, &self.server.url(), token).await
    }

    /// The Secrets of one name, wherever they are.
    pub(crate) async fn secrets(&self, name: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/secrets?fieldSelector=metadata.name={name}", self.server.url());
        let list: Value = self.admin(self.http.get(url)).await;
        list["items"].as_array().unwrap().clone()
    }

    pub(crate) async fn admin(&self, request: reqwest::RequestBuilder) -> Value {
        request.bearer_auth(self.server.admin_token()).send().await.unwrap().json().await.unwrap()
    }
}

/// What the examples leave to whoever runs the broker in the cluster; a namespace that has no room for a Secret.
const SYSTEM: &str = r#"
{ "apiVersion": "v1", "kind": "List", "items": [
  { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "writ-system" } },
  { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "writ-broker", "namespace": "writ-system" } },
  { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "crowded" } },
  { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "viewer", "namespace": "crowded" } },
  { "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "none", "namespace": "crowded" },
    "spec": { "hard": { "count/secrets": "0" } } },
  { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
    "metadata": { "name": "writ-broker", "namespace": "crowded" },
    "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
    "subjects": [ { "kind": "ServiceAccount", "name": "writ-broker", "namespace": "writ-system" } ] }
] }
"#;

/// What the controller of quotas would write down: that the namespace has room for no Secret.
fn crowd(server: &Kubernetes) {
    let status = r#"{"status":{"hard":{"count/secrets":"0"},"used":{"count/secrets":"0"}}}"#;
    let quota = ["resourcequota", "none", "-n", "crowded", "--subresource=status"];
    let patched = server.admin(&[&["patch"], &quota[..], &["--type=merge", "-p", status]].concat()).unwrap();
    assert!(patched.status.success(), "{}", String::from_utf8_lossy(&patched.stderr));
}

/// The kit's target has a name of its own, and so a subject.
const KIT: &str = r#"
{ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
  "metadata": { "name": "kit", "namespace": "writ-access" },
  "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writ-broker" },
  "subjects": [ { "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "writ:target:kit" } ] }
"#;

pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/kubernetes").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The example, with the test's issuer in its place, and the authority that a public one would not need.
fn authentication(issuer: &Issuer) -> String {
    let mut config: String = example("authentication.yaml");
    let place = "      url: https://writ-issuer.example\n";
    assert!(config.contains(place) && config.contains(AUDIENCE));
    let pem: String = issuer.pem.lines().map(|line| format!("        {}\n", line.trim())).collect();
    config = config.replace(place, &format!("      url: {}\n      certificateAuthority: |\n{pem}", issuer.url));
    config
}

fn target(name: &str, port: u16, ca_pem: &str) -> Target {
    let ca_pem = Some(ca_pem.to_owned());
    Target {
        name: TargetName::new(name).unwrap(),
        labels: BTreeMap::new(),
        protocol: Protocol::Kubernetes,
        address: Address { host: "127.0.0.1".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem },
        provider: "kubernetes".to_owned(),
    }
}

fn viewer(access: Value) -> KubernetesConfig {
    let mut config = json!({ "service_account": VIEWER, "call_timeout_ms": 60_000 });
    config.as_object_mut().unwrap().extend(access.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

pub(crate) fn by_kubeconfig(path: &Path) -> KubernetesConfig {
    viewer(json!({ "kubeconfig": path }))
}

pub(crate) fn in_cluster() -> KubernetesConfig {
    viewer(json!({ "in_cluster": true }))
}

pub(crate) fn asserted(audience: &str) -> KubernetesConfig {
    viewer(json!({ "assertion": { "audience": audience } }))
}

fn by_assertion(port: u16, pem: &str, audience: &str, assertions: &Arc<dyn Assertions>) -> KubernetesProvider {
    let seams = Seams { assertions: Some(Arc::clone(assertions)), ..Seams::default() };
    KubernetesProvider::new(&asserted(audience), &target("cluster", port, pem).address, seams).unwrap()
}

pub(crate) async fn whoami(http: &reqwest::Client, url: &str, token: &str) -> Option<Value> {
    let url = format!("{url}/apis/authentication.k8s.io/v1/selfsubjectreviews");
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let answer = http.post(url).bearer_auth(token).json(&review).send().await.unwrap();
    match answer.status().as_u16() {
        201 => Some(answer.json::<Value>().await.unwrap()["status"]["userInfo"].clone()),
        401 => None,
        other => panic!("{other}"),
    }
}

/// The claims of a token.
pub(crate) fn claims(token: &[u8]) -> Value {
    let payload = std::str::from_utf8(token).unwrap().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(crate) fn text(secret: &[u8]) -> String {
    String::from_utf8(secret.to_vec()).unwrap()
}

/// A file that goes with the server's directory.
pub(crate) fn file(server: &Kubernetes, name: &str, contents: &str) -> PathBuf {
    let path = server.directory().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, contents).unwrap();
    path
}

struct Session {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl LiveSession for Session {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { whoami(&self.http, &self.url, &self.token).await.is_some() })
    }
}

impl Harness for Cluster {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn role(&self) -> Option<String> {
        Some(VIEWER.to_owned())
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let seen = self.whoami(&text(secret)).await?;
            assert_eq!(seen["username"], principal);
            let session = Session { http: self.http.clone(), url: self.server.url(), token: text(secret) };
            Some(Box::new(session) as Box<dyn LiveSession>)
        })
    }

    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        Box::pin(async move { !self.secrets(principal).await.is_empty() })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        // A service account has no end.
        Box::pin(async { None })
    }

    fn mark(&self, writ: &Writ, _: &Credential) -> String {
        writ.id.to_string()
    }

    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async {
            let token = credential.secret.expose();
            self.whoami(&text(token)).await?;
            Timestamp::from_second(claims(token)["exp"].as_i64()?).ok()
        })
    }

    fn forgets_within(&self) -> std::time::Duration {
        FORGETS_WITHIN
    }

    fn shortest_life(&self) -> std::time::Duration {
        std::time::Duration::from_secs(600)
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(&self.down)
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(&self.silent)
    }

    fn refused_role(&self) -> Option<String> {
        Some(CROWDED.to_owned())
    }

    fn troubled(&self, trouble: Trouble) -> Option<&dyn Provider> {
        self.troubled.iter().find(|(kind, _)| *kind == trouble).map(|(_, provider)| provider as &dyn Provider)
    }

    fn canaries(&self) -> Vec<String> {
        vec![self.broker_token.clone(), self.server.admin_token().to_owned()]
    }
}
