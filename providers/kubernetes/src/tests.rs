use std::path::PathBuf;

use serde_json::{Value, json};
use writ_core::target::{Address, UpstreamTls};

use super::*;

fn config(settings: Value) -> KubernetesConfig {
    serde_json::from_value(settings).unwrap()
}

fn address(tls: UpstreamTls) -> Address {
    Address { host: "cluster.test".to_owned(), port: 6443, tls, ca_pem: None }
}

fn refusal(settings: Value) -> String {
    let made = KubernetesProvider::new(&config(settings), &address(UpstreamTls::VerifyFull), Seams::default());
    made.unwrap_err().to_string()
}

#[test]
fn each_mistake_says_what_to_write() {
    let many: Vec<String> = (0..65).map(|number| format!("apps/account-{number}")).collect();
    for (settings, words) in [
        (json!({ "in_cluster": true }), "write `service_account = \"namespace/name\"`"),
        (json!({ "service_accounts": many, "in_cluster": true }), "65 service accounts: write at most 64"),
        (json!({ "service_account": "viewer", "in_cluster": true }), "`viewer` is not a service account"),
        (json!({ "service_account": "Apps/viewer", "in_cluster": true }), "write `namespace/name`"),
        (json!({ "service_account": "apps/../viewer", "in_cluster": true }), "write `namespace/name`"),
        (json!({ "service_account": "apps/viewer?x", "in_cluster": true }), "write `namespace/name`"),
        (
            json!({ "service_account": "apps/viewer" }),
            "write `kubeconfig`, `in_cluster = true`, `eks`, `aks`, `gke` or `assertion`",
        ),
        (
            json!({ "service_account": "a/b", "in_cluster": true, "assertion": { "audience": "x" } }),
            "write one and leave out the others",
        ),
        (json!({ "service_account": "a/b", "in_cluster": true, "context": "x" }), "`context` is of a kubeconfig"),
        (json!({ "service_account": "a/b", "in_cluster": true, "audience": " " }), "`audience` is empty"),
        (json!({ "service_account": "a/b", "assertion": { "audience": "" } }), "`assertion.audience` is empty"),
        (json!({ "service_account": "a/b", "in_cluster": true, "call_timeout_ms": 99 }), "from 100 to 60000"),
        (json!({ "service_account": "a/b", "in_cluster": true, "sweep_limit": 0 }), "from 1 to 10000"),
        (json!({ "service_account": "a/b", "assertion": { "audience": "x" } }), "`[broker.issues]`"),
        (json!({ "service_account": "a/b", "kubeconfig": "/nowhere/at/all" }), "`/nowhere/at/all` cannot be read"),
    ] {
        let said = refusal(settings.clone());
        assert!(said.contains(words), "{settings}: {said}");
        assert!(!said.ends_with('.') && said.chars().next().is_some_and(|c| !c.is_uppercase()), "{said}");
    }
    assert!(serde_json::from_value::<KubernetesConfig>(json!({ "token": "x" })).is_err());
    let eks = json!({ "service_account": "a/b", "eks": { "cluster": "c" } });
    let unmade = serde_json::from_value::<KubernetesConfig>(eks).unwrap_err().to_string();
    assert!(unmade.contains("nothing here makes tokens for EKS"), "{unmade}");
}

#[test]
fn a_service_account_is_parsed_and_named() {
    let account = Account::parse("writ-access/viewer.v2").unwrap();
    assert_eq!((account.namespace(), account.name()), ("writ-access", "viewer.v2"));
    assert_eq!(account.principal(), "system:serviceaccount:writ-access:viewer.v2");
    assert_eq!(Account::of_principal(&account.principal()), Some(account));
    let long = format!("{}/a", "a".repeat(64));
    for text in ["", "/", "a/", "/a", "a/b/c", "a b/c", "-a/b", "a/b-", "a.b/c", "a/b..c", "a/\u{430}", long.as_str()] {
        assert!(Account::parse(text).is_err(), "{text}");
    }
    for text in ["system:node:a", "system:serviceaccount:a", "system:serviceaccount:a:b:c", "system:serviceaccount:A:b"]
    {
        assert_eq!(Account::of_principal(text), None, "{text}");
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        files.write("ca.pem", &ca.cert.pem());
        files.write("key.pem", &ca.signing_key.serialize_pem());
        files
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn kubeconfig(&self, cluster: Value, user: Value) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{ "name": "c", "cluster": cluster }], "users": [{ "name": "u", "user": user }],
            "contexts": [
                { "name": "here", "context": { "cluster": "c", "user": "u" } },
                { "name": "lost", "context": { "cluster": "d", "user": "u" } },
                { "name": "nobody", "context": { "cluster": "c", "user": "v" } },
            ],
        });
        self.write("kubeconfig", &config.to_string())
    }

    fn refusal(&self, cluster: Value, user: Value) -> String {
        let path = self.kubeconfig(cluster, user);
        refusal(json!({ "service_account": "a/b", "kubeconfig": path }))
    }
}

#[test]
fn what_a_kubeconfig_may_not_say_is_refused() {
    let files = Files::new();
    let sound = json!({ "server": "https://cluster.test:6443", "certificate-authority": "ca.pem" });
    let with = |field: &str, value: Value| {
        let mut cluster = sound.clone();
        cluster[field] = value;
        cluster
    };
    let token = || json!({ "token": "canary" });
    for (cluster, user, words) in [
        (with("insecure-skip-tls-verify", json!(true)), token(), "`insecure-skip-tls-verify`"),
        (with("proxy-url", json!("http://proxy")), token(), "`proxy-url`"),
        (with("tls-server-name", json!("x")), token(), "`tls-server-name`"),
        (with("trust-anybody", json!(true)), token(), "the field `trust-anybody` is not known"),
        (with("server", json!("http://cluster.test")), token(), "it is `https://host:port`"),
        (with("server", json!("https://u:p@cluster.test")), token(), "it is `https://host:port`"),
        (with("certificate-authority", json!("none.pem")), token(), "none.pem` cannot be read"),
        (with("certificate-authority", json!("key.pem")), token(), "`certificate-authority` has no certificate"),
        (with("certificate-authority-data", json!("-")), token(), "`certificate-authority-data` is not base64"),
        (sound.clone(), json!({}), "has neither a token nor a client certificate"),
        (sound.clone(), json!({ "exec": { "command": "canary" } }), "programs (`exec`, `auth-provider`) are not run"),
        (sound.clone(), json!({ "auth-provider": { "name": "oidc" } }), "are not run"),
        (sound.clone(), json!({ "username": "u", "password": "canary" }), "API servers take no passwords"),
        (sound.clone(), json!({ "token": "canary", "as": "admin" }), "`as` is not used here"),
        (sound.clone(), json!({ "token": "canary", "as-groups": ["system:masters"] }), "`as` is not used here"),
        (sound.clone(), json!({ "token": "canary", "run": "canary" }), "the field `run` is not known"),
        (sound.clone(), json!({ "client-certificate": "ca.pem" }), "a client certificate needs its key"),
        (sound.clone(), json!({ "client-certificate": "ca.pem", "client-key": "ca.pem" }), "not a pair"),
    ] {
        let said = files.refusal(cluster, user.clone());
        assert!(said.contains(words) && said.contains("the kubeconfig `"), "{user}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let path = files.kubeconfig(sound, token());
    for (context, words) in
        [("other", "it has no context `other`"), ("lost", "it has no cluster `d`"), ("nobody", "it has no user `v`")]
    {
        let said = refusal(json!({ "service_account": "a/b", "kubeconfig": path, "context": context }));
        assert!(said.contains(words), "{said}");
    }
    let broken = files.write("broken", "users: [{name: u, user: {token: canary\n");
    let said = refusal(json!({ "service_account": "a/b", "kubeconfig": broken }));
    assert!(said.contains("not a kubeconfig in YAML") && !said.contains("canary"), "{said}");
}

#[test]
fn tls_is_not_given_up() {
    #[derive(Debug)]
    struct Never;
    impl BearerSource for Never {
        fn named(&self) -> String {
            "nothing".to_owned()
        }

        fn bearer<'a>(
            &'a self,
            _: &'a writ_core::target::TargetName,
            _: Option<&'a writ_core::proof::Intended>,
        ) -> writ_core::provider::Pending<'a, Result<writ_core::credential::Secret, writ_core::provider::ProviderFault>>
        {
            Box::pin(std::future::pending())
        }
    }
    let seams = || Seams { eks: Some(std::sync::Arc::new(Never)), ..Seams::default() };
    let eks: KubernetesConfig<bool> = serde_json::from_value(json!({ "service_account": "a/b", "eks": true })).unwrap();
    let fault = KubernetesProvider::new(&eks, &address(UpstreamTls::Disable), seams()).unwrap_err();
    assert!(fault.to_string().contains("takes no token without TLS"), "{fault}");
    KubernetesProvider::new(&eks, &address(UpstreamTls::VerifyFull), seams()).unwrap();
    let fault = KubernetesProvider::new(&eks, &address(UpstreamTls::VerifyFull), Seams::default()).unwrap_err();
    assert!(fault.to_string().contains("`eks`"), "{fault}");
    let aks: KubernetesConfig<bool, bool, bool> =
        serde_json::from_value(json!({ "service_account": "a/b", "aks": true })).unwrap();
    let fault = KubernetesProvider::new(&aks, &address(UpstreamTls::VerifyFull), seams()).unwrap_err();
    assert!(fault.to_string().contains("`aks`"), "{fault}");
    let with_aks = Seams { aks: Some(std::sync::Arc::new(Never)), ..Seams::default() };
    KubernetesProvider::new(&aks, &address(UpstreamTls::VerifyFull), with_aks).unwrap();
    let unmade = json!({ "service_account": "a/b", "aks": { "tenant_id": "c" } });
    let unmade = serde_json::from_value::<KubernetesConfig>(unmade).unwrap_err().to_string();
    assert!(unmade.contains("nothing here makes tokens for AKS"), "{unmade}");
    let gke: KubernetesConfig<bool, bool, bool> =
        serde_json::from_value(json!({ "service_account": "a/b", "gke": true })).unwrap();
    let fault = KubernetesProvider::new(&gke, &address(UpstreamTls::VerifyFull), seams()).unwrap_err();
    assert!(fault.to_string().contains("`gke`"), "{fault}");
    let seams = Seams { gke: Some(std::sync::Arc::new(Never)), ..Seams::default() };
    KubernetesProvider::new(&gke, &address(UpstreamTls::VerifyFull), seams).unwrap();
    let unmade = json!({ "service_account": "a/b", "gke": { "service_account": "c" } });
    let unmade = serde_json::from_value::<KubernetesConfig>(unmade).unwrap_err().to_string();
    assert!(unmade.contains("nothing here makes tokens for GKE"), "{unmade}");
}
