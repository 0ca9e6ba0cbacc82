//! What a session of an AWS role costs beside the call to STS, which answers at once here; how many login tokens of RDS two
//! threads sign. Prints `name value unit`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use axum::Router;
use axum::extract::Form;
use serde_json::json;
use writ_aws_rds::Login;
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{TokenId, TokenKind, Workload};
use writ_provider_aws::{AwsConfig, AwsProvider};
use writ_provider_kit::cost;

const ROUNDS: usize = 3_000;
/// How long tokens are signed.
const SIGNING: Duration = Duration::from_secs(3);
const SIGNERS: usize = 2;
/// What Writ asks of STS is of about this size.
const FORM: usize = 1_900;

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// STS, which looks at nothing: a session for every name.
async fn answer(Form(asked): Form<BTreeMap<String, String>>) -> String {
    let said = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let (action, name) = (said("Action"), said("RoleSessionName"));
    let expires = after(Timestamp::now(), said("DurationSeconds").parse().unwrap_or(900));
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser>\
         <AssumedRoleId>AROABENCH:{name}</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/bench/{name}</Arn>\
         </AssumedRoleUser><Credentials><AccessKeyId>ASIABENCHBENCHBENCH</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>{}</Expiration></Credentials><PackedPolicySize>12</PackedPolicySize>\
         </{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>",
        Timestamp::from_second(expires.as_second()).unwrap_or(expires)
    )
}

async fn sts() -> Result<String, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Ok(url)
}

fn target() -> Result<Target, Failure> {
    let address = Address { host: "localhost".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let (name, provider) = (TargetName::new("kit")?, "aws".to_owned());
    Ok(Target { name, labels: BTreeMap::new(), protocol: Protocol::Aws, address, provider })
}

fn intended() -> Intended {
    let writ = writ_provider_kit::writ(None, Duration::from_secs(900));
    let workload = Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        claims: BTreeMap::new(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("bench".to_owned()),
        token_expires: writ.expires,
        bound_target: None,
    };
    let token = Secret::new("e".repeat(1_200).into_bytes());
    writ_provider_kit::intended(&writ).asked_by(Asker { workload, token })
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn sessions() -> Result<(), Failure> {
    let url = sts().await?;
    let config: AwsConfig = serde_json::from_value(json!({
        "region": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/bench", "default_scope": "read",
        "scopes": {"read": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::reports/*"]}]},
        "assume": {"by": "workload", "endpoint": url.trim_end_matches('/')},
    }))?;
    let provider = AwsProvider::new(&config, None)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let body =
        BTreeMap::from([("Action", "AssumeRoleWithWebIdentity".to_owned()), ("WebIdentityToken", "e".repeat(FORM))]);
    let bare = async || {
        let sent = client.post(&url).form(&body).send().await.map_err(|error| error.to_string())?;
        sent.bytes().await.map(drop).map_err(|error| error.to_string())
    };
    let cost = cost::of_mint(&provider, &target()?, ROUNDS, intended, bare).await?;
    println!("mint_aws_overhead_p50 {:.3} ms", cost.p50.as_secs_f64() * 1e3);
    println!("mint_aws_overhead_p99 {:.3} ms", cost.p99.as_secs_f64() * 1e3);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn logins() -> Result<(), Failure> {
    let identity = Credentials::new("AKIDBENCH", "secret", Some("t".repeat(800)), None, "bench");
    let (signed, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..SIGNERS {
        let (identity, signed) = (identity.clone(), signed.clone());
        running.spawn(async move {
            let host = "payments.cluster-abc123.eu-west-1.rds.amazonaws.com";
            let login = Login { host, port: 5432, user: "app", region: "eu-west-1" };
            while begun.elapsed() < SIGNING {
                writ_aws_rds::token(&login, &identity, SystemTime::now())
                    .await
                    .map_err(|fault| format!("{fault:?}"))?;
                signed.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    println!("rds_tokens_per_second {:.0} 1/s", signed.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(SIGNERS).enable_all().build()?;
    runtime.block_on(async {
        sessions().await?;
        logins().await
    })
}
