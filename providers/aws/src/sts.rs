//! The calls to STS, by the SDK. One call, one session: the SDK repeats nothing by itself, and what is repeated here took no
//! effect.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{
    BehaviorVersion, Builder, IdentityCache, Region as SdkRegion, StalledStreamProtectionConfig,
};
use aws_sdk_sts::types::{AssumedRoleUser, Credentials as Given, Tag};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::time::{Timestamp, after};
use writ_provider_calls::{Failed, repeated};
use zeroize::Zeroizing;

use crate::arn::RoleArn;
use crate::client::{CONNECT, http_client};
use crate::fault;
use crate::region::{Region, shown};
use crate::session::Session;
use crate::tags::Tags;

/// By how much the end of a session may differ from what was asked: more means two clocks, or another answer.
const TOLERANCE: i64 = 300;
/// How full a session's policy and tags may be before the operator is warned, in percent.
const NEARLY_FULL: i32 = 90;

/// STS of one region.
#[derive(Debug)]
pub(crate) struct Sts {
    client: Client,
    region: Region,
}

/// What is asked of STS for any session.
pub(crate) struct Asked<'a> {
    pub(crate) role: &'a RoleArn,
    /// The session's name, which is its source identity too where the caller can say so.
    pub(crate) name: &'a str,
    /// The session policy.
    pub(crate) policy: &'a str,
    pub(crate) seconds: u32,
}

/// What is told of a session where the broker asks with its own identity.
pub(crate) struct Told<'a> {
    pub(crate) tags: &'a Tags,
    pub(crate) external_id: Option<&'a str>,
}

/// An answer of STS, whichever call it is of.
struct Answer {
    given: Option<Given>,
    user: Option<AssumedRoleUser>,
    source: Option<String>,
    packed: Option<i32>,
}

impl Sts {
    pub(crate) fn new(region: &Region, endpoint: Option<&str>, limit: Duration) -> Self {
        let own = || format!("https://{}", region.sts_host());
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(limit).build();
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(SdkRegion::new(region.name().to_owned()))
            .endpoint_url(endpoint.map_or_else(own, str::to_owned))
            .http_client(http_client())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .build();
        Self { client: Client::from_conf(config), region: region.clone() }
    }

    /// `AssumeRoleWithWebIdentity`: whom the token names is who asks.
    pub(crate) async fn with_token(
        &self,
        asked: &Asked<'_>,
        token: &Secret,
        limit: Duration,
    ) -> Result<Session, ProviderFault> {
        let doing = format!("assuming `{}` by a token", asked.role);
        let token = core::str::from_utf8(token.expose()).ok().filter(|token| (4..=20_000).contains(&token.len()));
        let token = token.ok_or_else(|| {
            ProviderFault::Refused(format!("{doing}: AWS takes tokens of 4 to 20000 characters, and this is none"))
        })?;
        repeated(&doing, limit, || async {
            let call = self.client.assume_role_with_web_identity().role_arn(asked.role.as_str());
            let call = call.role_session_name(asked.name).policy(asked.policy).web_identity_token(token);
            let now = Timestamp::now();
            let out = call.duration_seconds(asked.seconds.cast_signed()).send().await;
            let out = out.map_err(|error| fault::of_sdk(&doing, &error))?;
            #[expect(deprecated, reason = "its successor is not answered everywhere yet")]
            let packed = out.packed_policy_size.max(out.session_token_utilization);
            let (given, user, source) = (out.credentials, out.assumed_role_user, out.source_identity);
            self.session(&doing, asked, now, Answer { given, user, source, packed })
        })
        .await
    }

    /// `AssumeRole`: the broker's own identity is who asks.
    pub(crate) async fn with_identity(
        &self,
        asked: &Asked<'_>,
        told: &Told<'_>,
        identity: &Credentials,
        limit: Duration,
    ) -> Result<Session, ProviderFault> {
        let doing = format!("assuming `{}`", asked.role);
        repeated(&doing, limit, || async {
            let mut call = self.client.assume_role().role_arn(asked.role.as_str()).role_session_name(asked.name);
            call = call
                .policy(asked.policy)
                .source_identity(asked.name)
                .set_external_id(told.external_id.map(str::to_owned));
            for (key, value) in told.tags {
                let tag = Tag::builder().key(key).value(value).build();
                let tag = tag.map_err(|error| Failed::ForGood(ProviderFault::Refused(format!("{doing}: {error}"))))?;
                call = call.tags(tag).transitive_tag_keys(key);
            }
            let now = Timestamp::now();
            let call = call.duration_seconds(asked.seconds.cast_signed()).customize();
            let out = call.config_override(as_whom(identity)).send().await;
            let out = out.map_err(|error| fault::of_sdk(&doing, &error))?;
            #[expect(deprecated, reason = "its successor is not answered everywhere yet")]
            let packed = out.packed_policy_size.max(out.session_token_utilization);
            let (given, user, source) = (out.credentials, out.assumed_role_user, out.source_identity);
            self.session(&doing, asked, now, Answer { given, user, source, packed })
        })
        .await
    }

    /// `GetCallerIdentity`: whom AWS sees in these credentials. Every identity may ask.
    pub(crate) async fn caller(&self, identity: &Credentials, limit: Duration) -> Result<String, ProviderFault> {
        let doing = "asking AWS whom it sees";
        repeated(doing, limit, || async {
            let call = self.client.get_caller_identity().customize().config_override(as_whom(identity));
            let out = call.send().await.map_err(|error| fault::of_sdk(doing, &error))?;
            out.arn.ok_or_else(|| fault::cut_short(doing))
        })
        .await
    }

    /// Whatever is not what was asked for is refused: a session of another role, by another name, for another time.
    fn session(&self, doing: &str, asked: &Asked<'_>, now: Timestamp, answer: Answer) -> Result<Session, Failed> {
        let refused = |why: String| Failed::ForGood(ProviderFault::Refused(format!("{doing}: {why}")));
        let Answer { given: Some(given), user: Some(user), source, packed } = answer else {
            return Err(fault::cut_short(doing));
        };
        let (key, ends) = (given.access_key_id, given.expiration);
        let (secret, token) = (Zeroizing::new(given.secret_access_key), Zeroizing::new(given.session_token));
        let formed = (16..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !formed || secret.is_empty() || token.is_empty() {
            return Err(fault::cut_short(doing));
        }
        let arn = asked.role.session(&self.region, asked.name);
        if user.arn != arn {
            return Err(refused(format!("AWS gave a session of `{}` and not of `{arn}`", shown(&user.arn))));
        }
        if let Some(source) = source.filter(|source| source != asked.name) {
            let text =
                format!("AWS gave a session whose source identity is `{}`: it is not this writ's", shown(&source));
            return Err(refused(text));
        }
        let wanted = after(now, u64::from(asked.seconds));
        let expires = Timestamp::from_second(ends.secs()).map_err(|_| fault::cut_short(doing))?;
        if (expires.as_second() - wanted.as_second()).abs() > TOLERANCE {
            return Err(refused(format!(
                "AWS gave a session until {expires}, and asked was one until {wanted}: set the clock of the broker's machine, or \
                 see what answers there"
            )));
        }
        report(packed, asked);
        Ok(Session { key, secret, token, expires, arn })
    }
}

/// The rest of the client's settings stay.
fn as_whom(identity: &Credentials) -> Builder {
    aws_sdk_sts::Config::builder().credentials_provider(identity.clone())
}

/// Policy and tags share a space that nobody can compute beforehand: what is nearly full fails for a longer subject.
fn report(packed: Option<i32>, asked: &Asked<'_>) {
    let Some(percent) = packed else { return };
    metrics::gauge!("writ_aws_packed_policy_percent").set(f64::from(percent));
    if percent > NEARLY_FULL {
        tracing::warn!(percent, role = %asked.role, session = asked.name, "scope and tags of a session are nearly too long together");
    }
}
