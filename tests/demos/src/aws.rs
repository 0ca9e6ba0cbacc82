//! A CI job's token becomes a session of an IAM role. STS is a fake of ours, stricter than the emulator (moto) behind it.

use std::collections::BTreeMap;

use serde_json::Value;
use writ_fakes::sts::{Front, OidcProvider, Role};

use crate::show;
use crate::stage::Stage;

const POLICIES: &str = r#"@id("reports") @ttl("15m") @scope("read")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"reports")
when { principal.hasTag("ref") && principal.getTag("ref") == "refs/heads/main" };
"#;

/// Plays it.
pub(crate) fn play() -> Result<(), String> {
    show::line("AWS here is a strict fake of STS and IAM before the emulator moto; the CI is a small OIDC issuer.");
    let front = Front::start()?;
    let mut stage = Stage::start(POLICIES)?;

    show::heading(1, "the account trusts Writ's own issuer, once: no key of AWS's is kept anywhere");
    let trust = trusted(&front, &stage)?;
    show::quoted(&trust);
    stage.targets(&target(front.url()), "reports")?;
    stage.shown(&["targets", "ls"])?.claims(true, &["reports", "aws"])?;
    stage.shown(&["targets", "probe", "reports"])?.claims(true, &["a mint would work"])?;

    show::heading(
        2,
        "a CI job has its token and nothing else; the broker mints a session, presents it, and keeps it to itself",
    );
    let seen = stage.lets_in("reports")?;
    let writ = text(&seen, "writ");
    let key = text(&seen, "fingerprint").rsplit(':').next().unwrap_or_default().to_owned();

    show::heading(3, "AWS's own audit shows the session under the writ's id, with its tags and its scope");
    let events = front.audit_naming(writ);
    for event in &events {
        show::quoted(&summary(event));
    }
    let session = front.session(&key).ok_or("AWS knows no session of the fingerprint that the job was shown")?;
    show::quoted(&format!("tags of {}: {:?}", session.access_key, session.tags));
    show::quoted(&format!("its scope: {}", session.policies.join(" ")));
    let names: Vec<&str> = events.iter().filter_map(|event| event.get("eventName").and_then(Value::as_str)).collect();
    claim(
        names.contains(&"AssumeRoleWithWebIdentity") && names.contains(&"GetCallerIdentity"),
        "both calls are in the audit",
    )?;
    claim(session.source_identity.as_deref() == Some(writ), "the source identity is the writ")?;
    claim(!session.policies.is_empty(), "the session is scoped down")?;

    show::heading(4, "who is not meant gets nothing: another branch, another audience, a token that was used");
    stage.keeps_out("reports", &stage.token("refs/heads/feature", None)?, "refused")?;
    stage.keeps_out("reports", &stage.token("refs/heads/main", Some("https://elsewhere.example"))?, "refused")?;
    let used = stage.good_token()?;
    stage.job("reports", &used, &["--json"])?.claims(true, &["\"presented\": true"])?;
    stage.keeps_out("reports", &used, "used as often as policy allows")?;

    stage.evidence(writ, 5)?;

    show::heading(
        6,
        "AWS takes no session back alone; an operator takes back all that is older, and the ledger says who",
    );
    stage
        .shown(&["targets", "revoke-older", "reports", "--reason", "a gateway was stolen"])?
        .claims(true, &["taken back"])?;
    let policies: Vec<String> = front.role_policies("reports").into_keys().collect();
    show::quoted(&format!("inline policies of the role now: {policies:?}"));
    claim(policies.iter().any(|name| name == "AWSRevokeOlderSessions"), "the role denies what is older")
}

fn trusted(front: &Front, stage: &Stage) -> Result<String, String> {
    let (issuer, ca_pem) = (stage.issuer(), Some(stage.authority()?));
    let provider =
        OidcProvider { url: issuer.clone(), client_ids: vec!["sts.amazonaws.com".to_owned()], ca_pem, at: None };
    let provider = front.oidc_provider(provider);
    let bare = issuer.trim_start_matches("https://");
    let trust = format!(
        r#"{{ "Version": "2012-10-17", "Statement": [{{ "Effect": "Allow",
  "Principal": {{ "Federated": "{provider}" }},
  "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
  "Condition": {{ "StringEquals": {{ "{bare}:aud": "sts.amazonaws.com", "{bare}:sub": "target:reports" }} }} }}] }}"#
    );
    let allow = |actions: &str, resource: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":{resource}}}]}}"#
        )
    };
    let role = |name: &str, trust: &str, policies: &[(&str, String)]| Role {
        name: name.to_owned(),
        trust: trust.to_owned(),
        policies: policies.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect::<BTreeMap<_, _>>(),
        longest: 3600,
    };
    front.role(&role("reports", &trust, &[("work", allow(r#""*""#, r#""*""#))]))?;
    let iam = allow(r#"["iam:GetRolePolicy","iam:PutRolePolicy"]"#, r#""arn:aws:iam::123456789012:role/reports""#);
    front.role(&role("revoker", &trust, &[("revoke", iam)]))?;
    Ok(trust)
}

fn target(endpoint: &str) -> String {
    format!(
        r#"[[broker.target]]
name = "reports"
protocol = "aws"
host = "sts.eu-west-1.amazonaws.com"

[broker.target.provider.aws]
region = "eu-west-1"
role_arn = "arn:aws:iam::123456789012:role/reports"
default_scope = "read"
assume = {{ endpoint = "{endpoint}", iam_endpoint = "{endpoint}", revoker = "arn:aws:iam::123456789012:role/revoker" }}

[[broker.target.provider.aws.scopes.read]]
actions = ["s3:GetObject", "s3:ListBucket"]
resources = ["arn:aws:s3:::reports", "arn:aws:s3:::reports/*"]
"#
    )
}

fn summary(event: &Value) -> String {
    let at = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!(
        "{} by {} (source identity {}): {}",
        at("/eventName"),
        if at("/userIdentity/arn") == "-" { at("/userIdentity/userName") } else { at("/userIdentity/arn") },
        at("/userIdentity/sessionContext/sourceIdentity"),
        event
            .get("requestParameters")
            .map(ToString::to_string)
            .unwrap_or_default()
            .chars()
            .take(160)
            .collect::<String>(),
    )
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn claim(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("it does not hold that {what}")) }
}
