//! What STS is asked: a token for the role, and the role for a projected token.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Builder, Region};
use aws_sdk_sts::error::{ProvideErrorMetadata as _, SdkError};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use zeroize::Zeroizing;

use super::credentials::held;
use crate::environment::Environment;
use crate::fault::{Fault, chain};
use crate::token::{Audience, Token};

/// How long STS may take, its tries together.
const LIMIT: Duration = Duration::from_secs(15);
/// The life of a token, in seconds: it is shown at once.
const LIFE: i32 = 300;
/// What STS answers where the account or the role has no tokens: a proof serves there.
const NOT_HERE: [&str; 3] =
    ["OutboundWebIdentityFederationDisabledException", "OutboundWebIdentityFederationDisabled", "AccessDenied"];

fn builder(environment: &Environment, region: &str) -> Builder {
    // The SDK's own choice would take proxies from the environment.
    let client = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(LIMIT)
        .build();
    let builder = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .sleep_impl(TokioSleep::new())
        .http_client(client)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts);
    match &environment.places().sts {
        Some(url) => builder.endpoint_url(url),
        None => builder,
    }
}

/// A token for the role; `None` where the account has no outbound identity federation, or the role may not use it.
pub(super) async fn web_identity_token(
    environment: &Environment,
    credentials: &Credentials,
    region: &str,
    audience: &Audience,
) -> Result<Option<Zeroizing<String>>, Fault> {
    let config = builder(environment, region).credentials_provider(credentials.clone()).build();
    let asked = Client::from_conf(config)
        .get_web_identity_token()
        .audience(audience.as_str())
        .signing_algorithm("RS256")
        .duration_seconds(LIFE)
        .send()
        .await;
    match asked {
        Ok(answer) => match answer.web_identity_token {
            Some(text) => Ok(Some(Zeroizing::new(text))),
            None => Err(Fault::new("STS answered without a token")),
        },
        Err(error) if error.code().is_some_and(|code| NOT_HERE.contains(&code)) => Ok(None),
        Err(error) => Err(refused(&error, "gave no token")),
    }
}

/// The role of a pod, for the token that was projected into it (IRSA).
pub(super) async fn assume(
    environment: &Environment,
    token: &Token,
    role: &str,
    region: &str,
) -> Result<Credentials, Fault> {
    let session = environment.variable("AWS_ROLE_SESSION_NAME");
    let asked = Client::from_conf(builder(environment, region).allow_no_auth().build())
        .assume_role_with_web_identity()
        .role_arn(role)
        .role_session_name(session.as_ref().map_or("writ", |name| name.as_str()))
        .web_identity_token(token.expose())
        .duration_seconds(900)
        .send()
        .await;
    let answer = asked.map_err(|error| refused(&error, "did not give the pod its role"))?;
    let given = answer.credentials.ok_or_else(|| Fault::new("STS answered without credentials"))?;
    Ok(held(&given.access_key_id, &given.secret_access_key, Some(&given.session_token)))
}

/// STS's code, not its words: they may repeat what was sent.
fn refused<E>(error: &SdkError<E>, what: &str) -> Fault
where
    E: aws_sdk_sts::error::ProvideErrorMetadata + core::error::Error + 'static,
{
    match error.code() {
        Some(code) => Fault::new(format!("STS {what}: `{code}`")),
        None => Fault::new(format!("STS {what}: {}", chain(error))),
    }
}
