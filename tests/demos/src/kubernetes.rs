//! A CI job's token becomes a bound token of a service account. The API server is a real one.

use serde_json::{Value, json};
use writ_world::kubernetes::{Kubernetes, Options};

use crate::aws::claim;
use crate::show;
use crate::stage::Stage;

const POLICIES: &str = r#"@id("cluster") @ttl("10m") @role("writ-access/viewer")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"cluster")
when { principal.hasTag("ref") && principal.getTag("ref") == "refs/heads/main" };
"#;
const ACCESS: &str = include_str!("../../../examples/kubernetes/access.yaml");
const RIGHTS: &str = include_str!("../../../examples/kubernetes/rights.yaml");
const AUDIENCE: &str = "https://cluster.example";

/// Plays it.
pub(crate) fn play() -> Result<(), String> {
    show::line("The API server and etcd are real; the CI is a small OIDC issuer.");
    let mut stage = Stage::start(POLICIES)?;

    show::heading(1, "the cluster trusts Writ's own issuer, once: no kubeconfig is kept anywhere");
    let authentication = trust(&stage)?;
    show::quoted(&format!(
        "--authentication-config: issuer {}, audience {AUDIENCE}, user `writ:` and the subject",
        stage.issuer()
    ));
    let cluster = Kubernetes::start(&Options { authentication: Some(authentication), arguments: Vec::new() })?;
    cluster.apply(ACCESS)?;
    cluster.apply(RIGHTS)?;
    show::quoted("kubectl apply -f examples/kubernetes/access.yaml -f examples/kubernetes/rights.yaml");
    let ca_file = stage.at().join("cluster-ca.pem");
    std::fs::write(&ca_file, cluster.ca_pem()).map_err(crate::stage::said("the cluster's authority"))?;
    stage.targets(&target(&cluster, &ca_file.display().to_string()), "cluster")?;
    stage.shown(&["targets", "ls"])?.claims(true, &["cluster", "kubernetes"])?;
    stage.shown(&["targets", "probe", "cluster"])?.claims(true, &["a mint would work"])?;

    show::heading(
        2,
        "a CI job has its token and nothing else; the broker mints a bound token, presents it, and keeps it to itself",
    );
    let seen = stage.lets_in("cluster")?;
    let writ = seen.get("writ").and_then(Value::as_str).unwrap_or_default().to_owned();
    let credential = seen.get("audit").and_then(Value::as_str).unwrap_or_default().to_owned();
    claim(
        !writ.is_empty() && credential.starts_with("JTI="),
        "the job is told its writ and what the audit calls its token",
    )?;

    show::heading(3, "the cluster's own audit shows the Secret under the writ's id, and each request by the token's");
    stage.until("the Secret is deleted: the token is taken back", |_| deleted(&cluster.audit(), &writ))?;
    let events = cluster.audit();
    let by_writ = events.iter().filter(|event| event.to_string().contains(&writ)).count();
    let of_token: Vec<&Value> = events.iter().filter(|event| event.to_string().contains(&credential)).collect();
    for event in events.iter().filter(|event| event.to_string().contains(&writ)).chain(of_token.iter().copied()) {
        show::quoted(&summary(event));
    }
    claim(
        by_writ > 0 && of_token.iter().any(|event| at(event, "/objectRef/resource") == "selfsubjectreviews"),
        "the audit shows both",
    )?;

    show::heading(4, "who is not meant gets nothing: another branch, another audience, a token that was used");
    stage.keeps_out("cluster", &stage.token("refs/heads/feature", None)?, "refused")?;
    stage.keeps_out("cluster", &stage.token("refs/heads/main", Some("https://elsewhere.example"))?, "refused")?;
    let used = stage.good_token()?;
    stage.job("cluster", &used, &["--json"])?.claims(true, &["\"presented\": true"])?;
    stage.keeps_out("cluster", &used, "used as often as policy allows")?;

    stage.evidence(&writ, 5)
}

fn trust(stage: &Stage) -> Result<String, String> {
    let issuer = json!({ "url": stage.issuer(), "audiences": [AUDIENCE], "certificateAuthority": stage.authority()? });
    let configuration = json!({
        "apiVersion": "apiserver.config.k8s.io/v1beta1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{ "issuer": issuer, "claimMappings": { "username": { "claim": "sub", "prefix": "writ:" } } }],
    });
    Ok(configuration.to_string())
}

fn target(cluster: &Kubernetes, ca_file: &str) -> String {
    format!(
        r#"[[broker.target]]
name = "cluster"
protocol = "kubernetes"
host = "{}"
port = {}
ca_file = "{ca_file}"

[broker.target.provider.kubernetes]
service_account = "writ-access/viewer"
assertion = {{ audience = "{AUDIENCE}" }}
"#,
        cluster.host(),
        cluster.port()
    )
}

fn deleted(events: &[Value], writ: &str) -> bool {
    events.iter().any(|event| at(event, "/verb") == "delete" && at(event, "/objectRef/name") == writ)
}

fn at<'v>(event: &'v Value, path: &str) -> &'v str {
    event.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

fn summary(event: &Value) -> String {
    let extra = event.pointer("/user/extra").map(ToString::to_string).unwrap_or_default();
    format!(
        "{} {} {} by {} {}",
        at(event, "/verb"),
        at(event, "/objectRef/resource"),
        at(event, "/objectRef/name"),
        at(event, "/user/username"),
        extra.chars().take(120).collect::<String>()
    )
}
