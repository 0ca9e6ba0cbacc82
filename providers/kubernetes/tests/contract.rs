//! The provider against a real API server, with the rights that the examples give it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cluster;

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{AUDIENCE, Cluster, VIEWER, asserted, by_kubeconfig, claims, file, in_cluster, text};
use serde_json::{Value, json};
use writ_core::credential::{CredentialKind, Secret};
use writ_core::provider::{Provider, ProviderFault, Swept};
use writ_core::writ::CredentialFacts;
use writ_provider_kit as kit;
use writ_provider_kubernetes::provider::Pod;
use writ_provider_kubernetes::{KubernetesConfig, KubernetesProvider, KubernetesSecret, KubernetesSecretConfig, Seams};
use writ_provider_source::{Fetched, SecretSource as _};
use writ_world::kubernetes::FORGETS_WITHIN;

const LIFE: Duration = Duration::from_secs(300);
const DEADLINE: Duration = Duration::from_secs(60);
const PRINCIPAL: &str = "system:serviceaccount:writ-access:viewer";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_1_33() {
    let cluster = Cluster::start();
    assert_eq!(kit::run(&cluster).await, Vec::<String>::new());
    a_token_works_with_kubectl_and_not_after_its_secret(&cluster).await;
    the_audit_leads_to_the_writ(&cluster).await;
    every_way_in_works(&cluster).await;
    a_long_writ_gets_a_long_token(&cluster).await;
    another_audience_is_not_the_api_servers(&cluster).await;
    a_crashed_mint_is_found_by_its_writ_alone(&cluster).await;
    missing_rights_are_named_and_mended_by_the_faults_own_words(&cluster).await;
    who_is_not_known_is_named(&cluster).await;
    what_cannot_be_granted_is_said(&cluster).await;
    a_sweep_leaves_what_is_not_its_own(&cluster).await;
    a_secret_is_read_by_its_name_alone(&cluster).await;
    assert!(!cluster.server.log().contains("panic"));
}

async fn a_token_works_with_kubectl_and_not_after_its_secret(cluster: &Cluster) {
    let writ = kit::writ(Some(VIEWER.to_owned()), LIFE);
    let minted = cluster.provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.kind, credential.principal.as_str()), (CredentialKind::KubernetesToken, PRINCIPAL));
    let secret = credential.secret.expose();
    let bound = claims(secret)["kubernetes.io"]["secret"].clone();
    let [stored] = &cluster.secrets(&writ.id.to_string()).await[..] else { panic!("one Secret") };
    assert_eq!(bound, json!({ "name": writ.id.to_string(), "uid": stored["metadata"]["uid"] }));
    assert_eq!((&stored["data"], &stored["immutable"]), (&Value::Null, &json!(true)), "it holds nothing, ever");
    assert_eq!(stored["metadata"]["annotations"]["writ/expires"], writ.expires.to_string());
    let config = cluster.server.kubeconfig("session", &json!({ "token": text(secret) })).unwrap();
    let seen = kubectl(cluster, &config, &["auth", "whoami", "-o", "json"]);
    let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(seen["status"]["userInfo"]["username"], PRINCIPAL);
    assert!(kubectl(cluster, &config, &["get", "pods", "-n", "shop"]).status.success());
    let elsewhere = kubectl(cluster, &config, &["get", "pods", "-n", "writ-access"]);
    assert!(said(&elsewhere).contains("Forbidden"), "{}", said(&elsewhere));
    cluster.provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
    let until = Instant::now() + FORGETS_WITHIN;
    loop {
        let refused = kubectl(cluster, &config, &["get", "pods", "-n", "shop"]);
        if !refused.status.success() {
            assert!(said(&refused).contains("Unauthorized"), "{}", said(&refused));
            return;
        }
        assert!(Instant::now() < until, "the token outlived its Secret");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn the_audit_leads_to_the_writ(cluster: &Cluster) {
    let seams = Seams { assertions: Some(Arc::clone(&cluster.issuer.trusted)), ..Seams::default() };
    let provider = cluster.provider_with(asserted(AUDIENCE), seams);
    let writ = kit::writ(None, LIFE);
    let minted = provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let presented = provider.present(&cluster.target, credential, DEADLINE).await.unwrap().unwrap();
    assert_eq!((&presented.principal, &presented.audit), (&credential.principal, &credential.audit));
    provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
    let (events, id) = (cluster.server.audit(), writ.id.to_string());
    let event = |found: &dyn Fn(&Value) -> bool| events.iter().find(|event| found(event)).unwrap().clone();
    for verb in ["create", "delete"] {
        let secret = event(&|event| event["verb"] == verb && event["objectRef"]["name"] == id.as_str());
        assert_eq!(secret["objectRef"]["resource"], "secrets");
        assert_eq!(secret["user"]["username"], "writ:target:cluster");
    }
    let made =
        event(&|event| event["annotations"]["authentication.kubernetes.io/issued-credential-id"] == credential.audit);
    assert_eq!(made["requestObject"]["spec"]["boundObjectRef"]["name"], id);
    assert_eq!(made["user"]["extra"]["writ.example/writ"], json!([id]));
    let used = event(&|event| {
        event["user"]["extra"]["authentication.kubernetes.io/credential-id"] == json!([credential.audit])
    });
    assert_eq!(used["user"]["username"], PRINCIPAL);
    let log = events.iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(&text(credential.secret.expose())));
}

/// A client certificate, a token in a file that is renewed, a pod's own, and Writ's issuer.
async fn every_way_in_works(cluster: &Cluster) {
    let server = &cluster.server;
    let (certificate, key) = server.client_certificate("writ-broker").unwrap();
    let certificate = json!({
        "client-certificate": file(server, "writ-broker.pem", &certificate),
        "client-key": file(server, "writ-broker.key", &key),
    });
    file(server, "pod/token", &cluster.broker_token);
    file(server, "pod/ca.crt", server.ca_pem());
    let pod = Pod { directory: server.directory().join("pod"), host: "127.0.0.1".to_owned(), port: server.port() };
    let renewed = file(server, "renewed", "expired");
    let relative = server.kubeconfig("in-file", &json!({ "tokenFile": "renewed" })).unwrap();
    let from_file = cluster.provider_with(by_kubeconfig(&relative), Seams::default());
    assert!(from_file.probe(&cluster.target, DEADLINE).await.is_err());
    std::fs::write(renewed, format!("{}\n", cluster.broker_token)).unwrap();
    let by_certificate = by_kubeconfig(&server.kubeconfig("certified", &certificate).unwrap());
    let assertions = Some(Arc::clone(&cluster.issuer.trusted));
    let ways = [
        ("a token in a file", from_file),
        ("a certificate", cluster.provider_with(by_certificate, Seams::default())),
        ("a pod", cluster.provider_with(in_cluster(), Seams { pod: Some(pod), ..Seams::default() })),
        ("an assertion", cluster.provider_with(asserted(AUDIENCE), Seams { assertions, ..Seams::default() })),
    ];
    for (way, provider) in ways {
        provider.probe(&cluster.target, DEADLINE).await.unwrap_or_else(|fault| panic!("{way}: {fault:?}"));
        let writ = kit::writ(None, LIFE);
        let minted = provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap();
        let presented =
            provider.present(&cluster.target, minted.credential().unwrap(), DEADLINE).await.unwrap().unwrap();
        assert_eq!(presented.principal, PRINCIPAL, "{way}");
        provider.sweep(&cluster.target, &[], DEADLINE).await.unwrap();
        provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
        assert!(cluster.secrets(&writ.id.to_string()).await.is_empty(), "{way}");
    }
}

async fn a_long_writ_gets_a_long_token(cluster: &Cluster) {
    let writ = kit::writ(None, Duration::from_secs(7_200));
    let minted = cluster.provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let end = minted.credential().unwrap().expires.unwrap().as_second();
    assert!((writ.expires.as_second() - 1..=writ.expires.as_second() + 1).contains(&end), "{end}");
    cluster.provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
}

async fn another_audience_is_not_the_api_servers(cluster: &Cluster) {
    let kubeconfig = cluster.server.directory().join("broker.kubeconfig");
    let config = KubernetesConfig { audience: Some("https://vault.example".to_owned()), ..by_kubeconfig(&kubeconfig) };
    let provider = cluster.provider_with(config, Seams::default());
    let writ = kit::writ(None, LIFE);
    let minted = provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!(claims(credential.secret.expose())["aud"], json!(["https://vault.example"]));
    assert_eq!(cluster.whoami(&text(credential.secret.expose())).await, None);
    assert_eq!(provider.present(&cluster.target, credential, DEADLINE).await, Ok(None));
    provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
}

/// What a broker knows after a crash is the intent; after a change of the configuration, the account that it was minted for.
async fn a_crashed_mint_is_found_by_its_writ_alone(cluster: &Cluster) {
    for knows_the_account in [false, true] {
        let mut writ = kit::writ(None, LIFE);
        let minted = cluster.provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap();
        let mut provider = &cluster.provider;
        let kubeconfig = cluster.server.directory().join("broker.kubeconfig");
        let service_account = Some("crowded/viewer".to_owned());
        let moved = KubernetesConfig { service_account, ..by_kubeconfig(&kubeconfig) };
        let moved = cluster.provider_with(moved, Seams::default());
        if knows_the_account {
            writ.credential = Some(CredentialFacts::of(minted.credential().unwrap(), false));
            provider = &moved;
        }
        provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
        assert!(cluster.secrets(&writ.id.to_string()).await.is_empty(), "{knows_the_account}");
    }
}

async fn missing_rights_are_named_and_mended_by_the_faults_own_words(cluster: &Cluster) {
    cluster.server.apply(r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"fresh"}}"#).unwrap();
    for name in ["one", "two"] {
        assert!(cluster.server.admin(&["create", "serviceaccount", name, "-n", "fresh"]).unwrap().status.success());
    }
    for user in ["system:serviceaccount:fresh:two", "stranger"] {
        let provider = fresh(cluster, user);
        let writ = kit::writ(None, LIFE);
        let faults = [
            provider.probe(&cluster.target, DEADLINE).await.unwrap_err(),
            provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap_err(),
            provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap_err(),
            provider.sweep(&cluster.target, &[], DEADLINE).await.unwrap_err(),
        ];
        for fault in &faults {
            let ProviderFault::Misconfigured(text) = fault else { panic!("{fault:?}") };
            assert!(text.contains("`kubectl apply -f -`") && text.contains(r#""resourceNames":["one"]"#), "{text}");
        }
        assert!(faults.iter().all(|fault| manifest(fault) == manifest(&faults[0])), "each names all that is needed");
        cluster.server.apply(manifest(&faults[0])).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while let Err(fault) = provider.probe(&cluster.target, DEADLINE).await {
            assert!(Instant::now() < until, "{fault:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap());
        provider.revoke(&cluster.target, &writ, DEADLINE).await.unwrap();
    }
}

/// A provider of `fresh/one`, let in as `user`.
fn fresh(cluster: &Cluster, user: &str) -> KubernetesProvider {
    let (certificate, key) = cluster.server.client_certificate(user).unwrap();
    let certificate = json!({
        "client-certificate": file(&cluster.server, "fresh.pem", &certificate),
        "client-key": file(&cluster.server, "fresh.key", &key),
    });
    let kubeconfig = cluster.server.kubeconfig("fresh", &certificate).unwrap();
    let config = KubernetesConfig { service_account: Some("fresh/one".to_owned()), ..by_kubeconfig(&kubeconfig) };
    cluster.provider_with(config, Seams::default())
}

fn manifest(fault: &ProviderFault) -> &str {
    fault.detail().split_once("of: ").unwrap().1
}

async fn who_is_not_known_is_named(cluster: &Cluster) {
    let kubeconfig = cluster.server.kubeconfig("gone", &json!({ "token": "not-a-token-canary" })).unwrap();
    let gone = cluster.provider_with(by_kubeconfig(&kubeconfig), Seams::default());
    let fault = gone.probe(&cluster.target, DEADLINE).await.unwrap_err();
    let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
    assert!(text.contains("the user `gone` of the kubeconfig") && !text.contains("canary"), "{text}");
    let seams = Seams { assertions: Some(Arc::clone(&cluster.issuer.trusted)), ..Seams::default() };
    let elsewhere = cluster.provider_with(asserted("https://another.example"), seams.clone());
    let fault = elsewhere.probe(&cluster.target, DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains(&format!("an assertion of `{}`", cluster.issuer.url)), "{fault:?}");
    let mut address = cluster.target.address.clone();
    address.ca_pem = Some(cluster.issuer.pem.clone());
    let stranger = KubernetesProvider::new(&asserted(AUDIENCE), &address, seams).unwrap();
    let fault = stranger.probe(&cluster.target, DEADLINE).await.unwrap_err();
    let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
    assert!(text.contains("not vouched for") && text.contains("`ca_file`"), "{text}");
}

async fn what_cannot_be_granted_is_said(cluster: &Cluster) {
    for (role, words) in [
        ("viewer", "write `namespace/name`"),
        ("kube-system/admin", "add it to `service_accounts`"),
        ("writ-access/viewer/token", "write `namespace/name`"),
    ] {
        let writ = kit::writ(Some(role.to_owned()), LIFE);
        let fault = cluster.provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(words)), "{role}: {fault:?}");
    }
    let kubeconfig = cluster.server.kubeconfig("root", &json!({ "token": cluster.server.admin_token() })).unwrap();
    for account in ["writ-access/absent", "absent/viewer"] {
        let config = KubernetesConfig { service_account: Some(account.to_owned()), ..by_kubeconfig(&kubeconfig) };
        let provider = cluster.provider_with(config, Seams::default());
        let writ = kit::writ(None, LIFE);
        for fault in [
            provider.probe(&cluster.target, DEADLINE).await.unwrap_err(),
            provider.mint(&cluster.target, kit::intended(&writ), DEADLINE).await.unwrap_err(),
        ] {
            let named = format!("there is no service account `{account}`");
            assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains(&named)), "{fault:?}");
        }
        assert!(cluster.secrets(&writ.id.to_string()).await.is_empty(), "a mint without an account left its Secret");
    }
}

async fn a_sweep_leaves_what_is_not_its_own(cluster: &Cluster) {
    let mut over = kit::writ(None, LIFE);
    over.expires = "2020-01-01T00:00:00Z".parse().unwrap();
    let mut second = kit::writ(None, LIFE);
    second.expires = over.expires;
    for writ in [&over, &second] {
        drop(cluster.provider.mint(&cluster.target, kit::intended(writ), DEADLINE).await.unwrap());
    }
    let strange = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "keep", "namespace": "writ-access", "annotations": { "writ/expires": "2020-01-01T00:00:00Z" },
            "labels": { "app.kubernetes.io/managed-by": "writ", "writ": over.id.to_string() },
        },
    });
    cluster.server.apply(&strange.to_string()).unwrap();
    let kubeconfig = cluster.server.directory().join("broker.kubeconfig");
    let one = KubernetesConfig { sweep_limit: 1, ..by_kubeconfig(&kubeconfig) };
    let one = cluster.provider_with(one, Seams::default());
    assert_eq!(one.sweep(&cluster.target, &[], DEADLINE).await, Ok(Swept { removed: 1, left: 2 }));
    assert_eq!(cluster.provider.sweep(&cluster.target, &[], DEADLINE).await, Ok(Swept { removed: 1, left: 1 }));
    assert_eq!(cluster.secrets("keep").await.len(), 1);
    for writ in [&over, &second] {
        assert!(cluster.secrets(&writ.id.to_string()).await.is_empty());
    }
}

/// For the provider `static`: with the right that the documentation shows.
async fn a_secret_is_read_by_its_name_alone(cluster: &Cluster) {
    let guide =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers/static.md")).unwrap();
    let role = guide.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let server = &cluster.server;
    for name in ["legacy", "legacy-other"] {
        let made = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "shop" },
            "stringData": { "password": format!("{name}-canary"), "empty": "" },
        });
        server.apply(&made.to_string()).unwrap();
    }
    let (certificate, key) = server.client_certificate("reader").unwrap();
    let user = json!({
        "client-certificate": file(server, "reader.pem", &certificate), "client-key": file(server, "reader.key", &key),
    });
    let kubeconfig = server.kubeconfig("reader", &user).unwrap();
    let source = |secret: &str, key: &str| {
        let settings = json!({ "secret": secret, "key": key, "kubeconfig": kubeconfig });
        KubernetesSecret::new(&serde_json::from_value(settings).unwrap(), None).unwrap()
    };
    let target = &cluster.target.name;
    let fault = source("shop/legacy", "password").fetch(target, None, DEADLINE).await.unwrap_err();
    let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
    let given = text.split_once("`kubectl apply -f -`: ").unwrap().1;
    server.apply(role).unwrap();
    let shown = server.admin(&["get", "role", "writ-legacy", "-n", "shop", "-o", "json"]).unwrap();
    let (shown, given): (Value, Value) =
        (serde_json::from_slice(&shown.stdout).unwrap(), serde_json::from_str(given).unwrap());
    assert_eq!((&shown["rules"], &shown["kind"]), (&given["rules"], &given["kind"]));
    let bound = ["create", "rolebinding", "writ-legacy", "-n", "shop", "--role=writ-legacy"];
    for user in ["reader", "writ:target:cluster"] {
        let name = format!("writ-legacy-{}", user.len());
        let arguments = [&bound[..2], &[name.as_str()], &bound[3..], &["--user", user]].concat();
        assert!(server.admin(&arguments).unwrap().status.success());
    }
    let until = Instant::now() + Duration::from_secs(60);
    let fetched = loop {
        match source("shop/legacy", "password").fetch(target, None, DEADLINE).await {
            Ok(fetched) => break fetched,
            Err(fault) => assert!(Instant::now() < until, "{fault:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(text_of(&fetched), "legacy-canary");
    assert!(fetched.label.starts_with("kubernetes-secret:shop/legacy#password@"), "{}", fetched.label);
    assert!(!format!("{fetched:?}").contains("canary"));
    for (secret, key, words) in [
        ("shop/legacy-other", "password", "bind the broker's user"),
        ("shop/legacy", "absent", "no such key"),
        ("shop/legacy", "empty", "it is empty"),
    ] {
        let fault = source(secret, key).fetch(target, None, DEADLINE).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(words)), "{secret}: {fault:?}");
    }
    let settings = json!({
        "secret": "shop/legacy", "key": "password", "assertion": { "audience": AUDIENCE }, "server": server.url(),
        "ca_file": file(server, "ca-of-secrets.pem", server.ca_pem()),
    });
    let config = serde_json::from_value(settings).unwrap();
    let asserted = KubernetesSecret::new(&config, Some(Arc::clone(&cluster.issuer.trusted))).unwrap();
    assert_eq!(text_of(&asserted.fetch(target, None, DEADLINE).await.unwrap()), "legacy-canary");
    one_is_replaced_by_whoever_may(cluster, &source("shop/legacy", "password"), role).await;
    for (settings, words) in [
        (json!({ "secret": "legacy", "key": "a", "in_cluster": true }), "`namespace/name`"),
        (json!({ "secret": "a/b", "key": "", "in_cluster": true }), "no key of a Secret"),
        (json!({ "secret": "a/b", "key": "c" }), "how the broker is let into the cluster"),
        (json!({ "secret": "a/b", "key": "c", "assertion": { "audience": "x" } }), "needs `server`"),
        (json!({ "secret": "a/b", "key": "c", "in_cluster": true, "server": "https://x" }), "leave them out"),
    ] {
        let config: KubernetesSecretConfig = serde_json::from_value(settings.clone()).unwrap();
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains(words), "{settings}: {fault}");
    }
}

/// With the verb more that the documentation names.
async fn one_is_replaced_by_whoever_may(cluster: &Cluster, source: &KubernetesSecret, role: &str) {
    let (server, target) = (&cluster.server, &cluster.target.name);
    let value = Secret::new(b"turned-canary".to_vec());
    let before = source.fetch(target, None, DEADLINE).await.unwrap();
    let keeper = source.keeper().unwrap();
    let fault = keeper.replace(target, &before, &value, DEADLINE).await.unwrap_err();
    let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
    let given = text.split_once("`kubectl apply -f -`: ").unwrap().1;
    let wider = role.replace("verbs: [\"get\"]", "verbs: [\"get\", \"patch\"]");
    assert_ne!(wider, role);
    server.apply(&wider).unwrap();
    let shown = server.admin(&["get", "role", "writ-legacy", "-n", "shop", "-o", "json"]).unwrap();
    let (shown, given): (Value, Value) =
        (serde_json::from_slice(&shown.stdout).unwrap(), serde_json::from_str(given).unwrap());
    assert_eq!(shown["rules"], given["rules"]);
    let until = Instant::now() + Duration::from_secs(60);
    let label = loop {
        match keeper.replace(target, &before, &value, DEADLINE).await {
            Ok(label) => break label,
            Err(fault) => assert!(Instant::now() < until, "{fault:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let now = source.fetch(target, None, DEADLINE).await.unwrap();
    assert_eq!((text_of(&now), &now.label), ("turned-canary", &label));
    assert_ne!(now.label, before.label);
    // The other key is as it was, and somebody else's change is not written over.
    let kept = server.admin(&["get", "secret", "legacy", "-n", "shop", "-o", "json"]).unwrap();
    let kept: Value = serde_json::from_slice(&kept.stdout).unwrap();
    assert_eq!(kept["data"]["empty"], "");
    let fault = keeper.replace(target, &before, &value, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("by somebody else")), "{fault:?}");
    // Nor where nobody could tell.
    let unversioned = Fetched {
        value: Secret::new(b"read-canary".to_vec()),
        label: "kubernetes-secret:shop/legacy#password@".to_owned(),
    };
    let refused = keeper.replace(target, &unversioned, &value, DEADLINE).await.unwrap_err();
    assert!(matches!(&refused, ProviderFault::Refused(text) if text.contains("no `resourceVersion`")), "{refused:?}");
    assert_eq!(source.fetch(target, None, DEADLINE).await.unwrap().label, now.label);
    assert!(!format!("{fault:?} {label}").contains("canary"));
}

fn text_of(fetched: &Fetched) -> &str {
    std::str::from_utf8(fetched.value.expose()).unwrap()
}

fn kubectl(cluster: &Cluster, kubeconfig: &Path, arguments: &[&str]) -> Output {
    cluster.server.kubectl(kubeconfig).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
