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
use writ_core::target::Protocol;
use writ_core::time::{Timestamp, after};
use writ_provider_aws::{AwsConfig, AwsProvider};
use writ_provider_kit::bench::{self, Failure};

const ROUNDS: usize = 3_000;
/// How long tokens are signed.
const SIGNING: Duration = Duration::from_secs(3);
const SIGNERS: usize = 2;
/// What Writ asks of STS is of about this size.
const FORM: usize = 1_900;
/// The token of whoever asks.
const TOKEN: usize = 1_200;

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

async fn sessions() -> Result<(), Failure> {
    let url = bench::plain(Router::new().fallback(answer)).await?;
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
    let target = bench::target("aws", Protocol::Aws, bench::address(443, None))?;
    let cost = bench::of_mint(&provider, &target, ROUNDS, || bench::asked(TOKEN), bare).await?;
    cost.print("aws");
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
    bench::main(async {
        sessions().await?;
        logins().await
    })
}
