//! How a role is assumed, for a writ or to see whether it could be, and how all its sessions are taken back.
//!
//! What this must never do: ask for a session without a session policy, for a writ under another name than the writ's id, or
//! fall back from one way of asking to another.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use writ_core::assertion::{AssertedSubject, Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended};
use writ_core::provider::ProviderFault;
use writ_core::target::{Target, TargetName};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{Claims, TokenKind};
use writ_provider_calls::within;

use crate::ambient::Ambient;
use crate::arn::RoleArn;
use crate::client::plain_client;
use crate::config::{AssumeConfig, By, ConfigFault, SHORTEST};
use crate::iam::{self, Iam};
use crate::region::Region;
use crate::session::Session;
use crate::sts::{Asked, Sts, Told};
use crate::tags::{self, Tags};
use crate::{fault, scope};

/// The claim in which AWS looks for session tags.
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";
/// The claim in which AWS looks for the source identity.
const SOURCE_CLAIM: &str = "https://aws.amazon.com/source_identity";
/// The longest session that AWS gives to a role which assumes another.
const CHAINED: u32 = 3_600;
/// The name of sessions that are asked for to see whether they would be given. They may do nothing.
const PROBE: &str = "writ-probe";
/// The name of sessions that take others back.
const REVOKER: &str = "writ-revoke";
/// By how much the time from which on sessions stay good may be in the future: clocks differ.
const AHEAD: u64 = 300;

/// Assumes roles in one region, in the one way that is configured.
pub(crate) struct Assumer {
    config: AssumeConfig,
    region: Region,
    sts: Sts,
    iam: Iam,
    plain: reqwest::Client,
    ambient: Ambient,
    assertions: Option<Arc<dyn Assertions>>,
    revoker: Option<RoleArn>,
}

impl Assumer {
    pub(crate) fn new(
        config: &AssumeConfig,
        region: &Region,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        if config.by == By::Issuer && assertions.is_none() {
            let text = "the broker is no issuer, so that it has no assertion to show: add `[broker.issues]`, or write `by` as \
                        `broker` or `workload`";
            return Err(ConfigFault::new(text));
        }
        let plain = plain_client(config.call_timeout())?;
        Ok(Self {
            sts: Sts::new(region, config.endpoint.as_deref(), config.call_timeout()),
            iam: Iam::new(region, config.iam_endpoint.as_deref(), plain.clone())?,
            plain,
            revoker: config.revoker(region)?,
            config: config.clone(),
            region: region.clone(),
            ambient,
            assertions: assertions.cloned(),
        })
    }

    pub(crate) const fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) const fn plain(&self) -> &reqwest::Client {
        &self.plain
    }

    /// Where STS is, without a slash at its end.
    pub(crate) fn sts_address(&self) -> String {
        let own = || format!("https://{}", self.region.sts_host());
        self.config.endpoint.as_ref().map_or_else(own, |endpoint| endpoint.trim_end_matches('/').to_owned())
    }

    /// How long one call may take of what the caller gives for all.
    pub(crate) fn limit(&self, deadline: Duration) -> Duration {
        deadline.min(self.config.call_timeout())
    }

    /// A session for a writ: named after it, tagged with what it is for, able to do what `policy` says.
    pub(crate) async fn session(
        &self,
        intended: &Intended,
        role: &RoleArn,
        policy: &str,
        deadline: Duration,
    ) -> Result<Session, ProviderFault> {
        let limit = self.limit(deadline);
        let writ = intended.writ();
        let (name, tags) = (writ.id.to_string(), tags::of_writ(writ, self.config.tags()));
        let seconds = self.seconds(Timestamp::now(), writ.expires);
        let asked = Asked { role, name: &name, policy, seconds };
        let doing = format!("assuming `{role}`");
        let asking = async {
            match self.config.by {
                By::Issuer => {
                    let token = self.assertion(&writ.target, Some(intended), &name, &tags).await?;
                    self.sts.with_token(&asked, &token, limit).await
                }
                By::Workload => self.sts.with_token(&asked, own_token(intended)?, limit).await,
                By::Broker => self.by_broker(asked, &tags, limit).await,
            }
        };
        within(&doing, deadline, asking).await
    }

    /// How long a session is asked for: as long as the writ lives, within what AWS and the configuration allow.
    fn seconds(&self, now: Timestamp, end: Timestamp) -> u32 {
        let left = u32::try_from(end.as_second() - now.as_second()).unwrap_or_default();
        left.clamp(SHORTEST, self.config.max_duration_seconds)
    }

    async fn by_broker(&self, mut asked: Asked<'_>, tags: &Tags, limit: Duration) -> Result<Session, ProviderFault> {
        let identity = self.ambient.credentials().await?;
        if identity.session_token().is_some() {
            asked.seconds = asked.seconds.min(CHAINED);
        }
        let told = Told { tags, external_id: self.config.external_id.as_deref() };
        self.sts.with_identity(&asked, &told, &identity, limit).await
    }

    async fn assertion(
        &self,
        target: &TargetName,
        intended: Option<&Intended>,
        name: &str,
        tags: &Tags,
    ) -> Result<Secret, ProviderFault> {
        let assertions = self
            .assertions
            .as_ref()
            .ok_or_else(|| ProviderFault::Misconfigured("the broker is no issuer: add `[broker.issues]`".to_owned()))?;
        let values: serde_json::Map<String, Value> =
            tags.iter().map(|(key, value)| (key.clone(), json!([value]))).collect();
        let keys: Vec<&String> = tags.keys().collect();
        let claims = Claims::from([
            (TAGS_CLAIM.to_owned(), json!({ "principal_tags": values, "transitive_tag_keys": keys })),
            (SOURCE_CLAIM.to_owned(), name.into()),
        ]);
        let (audience, subject) = (self.config.audience.as_str(), self.config.subject);
        assertions.assert(Assertion { audience, subject, target, intended, claims }).await
    }

    /// Whether the roles would be given: sessions that may do nothing are asked for and dropped. Where the workload is who
    /// asks there is none to ask with, and what is seen is whether STS answers.
    pub(crate) async fn probe(
        &self,
        target: &Target,
        roles: &[&RoleArn],
        deadline: Duration,
    ) -> Result<(), ProviderFault> {
        let limit = self.limit(deadline);
        let by_workload = self.config.by == By::Workload
            || (self.config.by == By::Issuer && self.config.subject == AssertedSubject::Workload);
        let asking = async {
            if by_workload {
                return self.answers().await;
            }
            let tags = self.config.tags();
            for role in roles {
                let asked = Asked { role, name: PROBE, policy: scope::NOTHING, seconds: SHORTEST };
                if self.config.by == By::Issuer {
                    let token = self.assertion(&target.name, None, PROBE, tags).await?;
                    self.sts.with_token(&asked, &token, limit).await?;
                } else {
                    self.by_broker(asked, tags, limit).await?;
                }
            }
            Ok(())
        };
        within("probing AWS", deadline, asking).await
    }

    /// Whether STS answers at all, whatever it says.
    async fn answers(&self) -> Result<(), ProviderFault> {
        let asked = self.plain.get(self.sts_address()).send().await;
        asked.map(drop).map_err(|error| settled(fault::of_transport("asking whether STS answers", &error)))
    }

    /// Whom AWS sees in a session.
    pub(crate) async fn caller(&self, session: &Session, deadline: Duration) -> Result<String, ProviderFault> {
        self.sts.caller(&session.credentials(), self.limit(deadline)).await
    }

    /// Takes every session back that the roles had before `before`.
    pub(crate) async fn revoke_older(
        &self,
        target: &Target,
        roles: &[&RoleArn],
        before: Timestamp,
        deadline: Duration,
    ) -> Result<(), ProviderFault> {
        let limit = self.limit(deadline);
        if before > after(Timestamp::now(), AHEAD) {
            let text = format!(
                "{before} is in the future: until then no session would be good, so write a time that has passed"
            );
            return Err(ProviderFault::Misconfigured(text));
        }
        let asking = async {
            let identity = self.revoking(target, roles, limit).await?;
            for role in roles {
                self.iam.revoke_older(&identity, role, before, limit).await?;
            }
            Ok(())
        };
        within("taking sessions back", deadline, asking).await
    }

    /// Who takes sessions back: the revoker, able to do that alone, or the broker itself.
    async fn revoking(
        &self,
        target: &Target,
        roles: &[&RoleArn],
        limit: Duration,
    ) -> Result<Credentials, ProviderFault> {
        let Some(revoker) = &self.revoker else { return self.ambient.credentials().await };
        let resources: Vec<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
        let policy = scope::allowing(&iam::NEEDED, &resources);
        let asked = Asked { role: revoker, name: REVOKER, policy: &policy, seconds: SHORTEST };
        let tags = self.config.tags();
        let session = if self.config.by == By::Issuer {
            let token = self.assertion(&target.name, None, REVOKER, tags).await?;
            self.sts.with_token(&asked, &token, limit).await?
        } else {
            self.by_broker(asked, tags, limit).await?
        };
        Ok(session.credentials())
    }
}

impl core::fmt::Debug for Assumer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Assumer").field("region", &self.region).field("config", &self.config).finish_non_exhaustive()
    }
}

/// The token that the workload showed, where it is its issuer's and not Writ's own.
fn own_token(intended: &Intended) -> Result<&Secret, ProviderFault> {
    match intended.asker() {
        Some(Asker { workload, token }) if workload.token_kind == TokenKind::Workload => Ok(token),
        Some(_) => Err(ProviderFault::Refused(
            "the workload showed a session token of Writ's, which AWS does not know: it must show its own token to the \
             gateway, or write `by = \"issuer\"`"
                .to_owned(),
        )),
        None => Err(ProviderFault::Refused("there is no token of the workload's to pass on".to_owned())),
    }
}

/// The fault, where a call is not made again.
pub(crate) fn settled(failed: writ_provider_calls::Failed) -> ProviderFault {
    match failed {
        writ_provider_calls::Failed::Harmlessly(fault) | writ_provider_calls::Failed::ForGood(fault) => fault,
    }
}
