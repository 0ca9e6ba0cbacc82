//! The provider `eks`: tokens for an EKS cluster's API server.
//!
//! A token is a request to STS, signed and not sent: the cluster sends it and sees whom AWS sees. It holds no permission but
//! that, and the session that signs it may do nothing else. The cluster takes it for 15 minutes from its signature.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::time::{Timestamp, after};
use writ_core::writ::Writ;
use writ_provider_calls::{plain, within};
use zeroize::Zeroizing;

use crate::ambient::Ambient;
use crate::assume::{Assumer, settled};
use crate::client::{body, escaped};
use crate::config::{AssumeConfig, ConfigFault, RoleTable};
use crate::provider::{key_fingerprint, presented};
use crate::region::Region;
use crate::session::moment;
use crate::{fault, scope, xml};

/// What a token begins with.
const PREFIX: &str = "k8s-aws-v1.";
/// The header that ties a token to its cluster.
const CLUSTER: &str = "x-k8s-aws-id";
/// How long STS is told that the request is good, in seconds. STS and clusters take [`LIFE`] whatever stands there.
const EXPIRES: Duration = Duration::from_secs(60);
/// How long a cluster takes a token, in seconds.
const LIFE: u64 = 900;
/// The longest token that clusters take.
const LONGEST: usize = 4096;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EksConfig {
    /// The region that the cluster is in.
    pub region: String,
    /// The cluster's name.
    pub cluster: String,
    /// The role of sessions for which policy names none. The cluster's access entries say what it may do there.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// Roles by the names that policies give them (`@role`).
    #[serde(default)]
    pub roles: std::collections::BTreeMap<String, String>,
    /// How roles are assumed.
    #[serde(default)]
    pub assume: AssumeConfig,
}

impl EksConfig {
    /// Checks everything that can be checked without AWS.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<(Region, RoleTable), ConfigFault> {
        let region = Region::parse(&self.region)?;
        check_cluster(&self.cluster)?;
        let roles = RoleTable::read(self.role_arn.as_deref(), &self.roles, &region)?;
        self.assume.validate(&region)?;
        Ok((region, roles))
    }
}

/// A cluster's name: 1 to 100 letters, digits, `-` and `_`, beginning with a letter or digit.
pub(crate) fn check_cluster(name: &str) -> Result<(), ConfigFault> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let begun = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begun && name.len() <= 100 && name.bytes().all(named) {
        Ok(())
    } else {
        Err(ConfigFault::new("`cluster` is no cluster's name: write it as EKS lists it"))
    }
}

/// Mints tokens for one cluster.
pub struct EksProvider {
    assumer: Assumer,
    roles: RoleTable,
    cluster: String,
}

impl EksProvider {
    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong in it, and what to write instead.
    pub fn new(config: &EksConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, assertions, Ambient::found(&config.region))
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &EksConfig,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let (region, roles) = config.read()?;
        let assumer = Assumer::new(&config.assume, &region, assertions, ambient)?;
        Ok(Self { assumer, roles, cluster: config.cluster.clone() })
    }

    async fn minted(&self, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let role = self.roles.of(intended.writ())?;
        // Asking whom AWS sees needs no permission.
        let session = self.assumer.session(&intended, role, scope::NOTHING, deadline).await?;
        // A token is dated to the second, and lives from then.
        let at = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let secret = token(&session.credentials(), self.assumer.region(), &self.cluster, at)?;
        let credential = Credential {
            kind: CredentialKind::EksToken,
            principal: session.arn.clone(),
            secret,
            expires: Some(after(at, LIFE).min(session.expires)),
            fingerprint: key_fingerprint(&session.key),
            audit: session.arn,
            revocation: Revocation::None,
        };
        Ok(Minted::new(intended, credential))
    }

    /// Does what the cluster would do with the token.
    async fn seen(&self, credential: &Credential, deadline: Duration) -> Result<Option<Presented>, ProviderFault> {
        let doing = "asking AWS whom it sees in a token";
        let query =
            query(credential).ok_or_else(|| ProviderFault::Refused("the credential is no token for EKS".to_owned()))?;
        let address = format!("{}{}", self.assumer.sts_address(), query.as_str());
        // Signed for AWS's own name, wherever it is asked.
        let request = self.assumer.plain().get(address).header("host", self.assumer.region().sts_host());
        let asking = async {
            let sent = request.header(CLUSTER, &self.cluster).send().await;
            // Not the error itself: it would show the address, and so the token.
            let response = sent.map_err(|error| settled(fault::of_transport(doing, &error.without_url())))?;
            let status = response.status().as_u16();
            let answer = body(response).await.ok_or_else(|| settled(fault::cut_short(doing)))?;
            if status != 200 {
                let said = |member| xml::text(&answer, &["ErrorResponse", "Error", member]).unwrap_or_default();
                return Err(settled(fault::of_answer(doing, &said("Code"), &said("Message"), status)));
            }
            let arn = xml::text(&answer, &["GetCallerIdentityResponse", "GetCallerIdentityResult", "Arn"]);
            presented(credential, arn.ok_or_else(|| settled(fault::cut_short(doing)))?).map(Some)
        };
        within(doing, self.assumer.limit(deadline), asking).await
    }
}

/// A token for `cluster`, signed at `at` (`aws-iam-authenticator`, "API authorization from outside a cluster").
pub(crate) fn token(
    credentials: &Credentials,
    region: &Region,
    cluster: &str,
    at: Timestamp,
) -> Result<Secret, ProviderFault> {
    let unsigned = |error: &dyn core::error::Error| {
        ProviderFault::Refused(format!("no token can be signed: {}", plain(&error.to_string())))
    };
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.name())
        .name("sts")
        .time(moment(at))
        .settings(settings)
        .build()
        .map_err(|error| unsigned(&error))?
        .into();
    let address = format!("https://{}/?Action=GetCallerIdentity&Version=2011-06-15", region.sts_host());
    let headers = [(CLUSTER, cluster)].into_iter();
    let request = SignableRequest::new("GET", address.as_str(), headers, SignableBody::empty());
    let signed = sign(request.map_err(|error| unsigned(&error))?, &parameters).map_err(|error| unsigned(&error))?;
    let mut address = Zeroizing::new(address);
    for (name, value) in signed.into_parts().0.params() {
        address.push_str(&format!("&{name}={}", escaped(value)));
    }
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(address.as_bytes()));
    if PREFIX.len() + encoded.len() > LONGEST {
        let text = "the session token is so long that the cluster would not take the token: write fewer `tags`";
        return Err(ProviderFault::Misconfigured(text.to_owned()));
    }
    Ok(Secret::new(format!("{PREFIX}{}", encoded.as_str()).into_bytes()))
}

/// Path and query of the request in a token.
fn query(credential: &Credential) -> Option<Zeroizing<String>> {
    let encoded = credential.secret.expose().strip_prefix(PREFIX.as_bytes())?;
    let address = Zeroizing::new(String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?);
    let from = address.strip_prefix("https://")?;
    Some(Zeroizing::new(from.get(from.find('/')?..)?.to_owned()))
}

impl fmt::Debug for EksProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EksProvider");
        shown
            .field("cluster", &self.cluster)
            .field("assumer", &self.assumer)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl Provider for EksProvider {
    fn describe(&self) -> Description {
        Description { kind: "eks", long_lived: false, revocable: false, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(intended, deadline))
    }

    /// Succeeds and changes nothing: a token ends by itself, in minutes.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    /// Whether the roles would be given. Whether the cluster lets them in shows at the first session.
    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move { self.assumer.probe(target, &self.roles.all(), deadline).await })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }

    fn present<'a>(
        &'a self,
        _target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        Box::pin(self.seen(credential, deadline))
    }

    /// A policy that denies everything would change nothing: asking whom AWS sees is all that a token does, and cannot be denied.
    fn revoke_older<'a>(
        &'a self,
        target: &'a Target,
        _before: Timestamp,
        _deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        let text = format!(
            "tokens for `{}` end by themselves within 15 minutes, and AWS takes none back: remove the role's access entry at the \
             cluster, and end the sessions",
            target.name
        );
        Box::pin(async { Err(ProviderFault::Misconfigured(text)) })
    }
}
