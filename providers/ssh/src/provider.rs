//! The provider: one key pair and one certificate for each writ.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::ssh::SshAuthority;
use writ_core::target::Target;
use writ_core::time::{Clock, SystemClock, Timestamp};
use writ_core::writ::Writ;
use writ_provider_calls::within;

use crate::authority::{Authority, SKEW, seconds};
use crate::certificate::{Content, Kind};
use crate::config::{Checked, ConfigFault, SshConfig};
use crate::key::{ED25519, Pair, blob, shown};
use crate::krl;
use crate::wire::Wire;

/// Mints certificates for the accounts of a host, or of many that trust the same authority.
pub struct SshProvider {
    checked: Checked,
    max_life: u64,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
}

impl SshProvider {
    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &SshConfig, authority: Arc<Authority>) -> Result<Self, ConfigFault> {
        Self::by_clock(config, authority, Arc::new(SystemClock))
    }

    /// The same by a clock of one's own.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn by_clock(config: &SshConfig, authority: Arc<Authority>, clock: Arc<dyn Clock>) -> Result<Self, ConfigFault> {
        Ok(Self { checked: config.read()?, max_life: config.max_life_seconds, authority, clock })
    }

    async fn minted(&self, intended: Intended, now: Timestamp) -> Result<Minted, ProviderFault> {
        let writ = intended.writ();
        let (account, terms) = (self.checked.account(writ)?, self.checked.terms(writ)?);
        let begin = seconds(now);
        let end = seconds(writ.expires).min(begin.saturating_add(self.max_life));
        if end <= begin {
            return Err(ProviderFault::Refused(format!("the writ `{}` has ended", writ.id)));
        }
        let (pair, id) = (Pair::make()?, writ.id.to_string());
        let content = Content {
            kind: Kind::User,
            key_type: ED25519,
            key: &Wire::with_capacity(36).string(pair.public).finish(),
            serial: krl::serial(writ.id),
            key_id: &id,
            principals: &account.principals,
            valid_after: begin.saturating_sub(SKEW),
            valid_before: end,
            command: terms.command.as_deref(),
            sources: &terms.sources,
            permits: &terms.permits,
        };
        let certificate = self.authority.certify(&content).await?;
        let credential = Credential {
            kind: CredentialKind::SshCertificate,
            principal: account.name.clone(),
            secret: Secret::new([pair.private.as_bytes(), certificate.as_bytes()].concat()),
            expires: Timestamp::from_second(end.cast_signed()).ok(),
            fingerprint: Fingerprint::of_public("ssh", &shown(&blob(&pair.public))),
            audit: id,
            revocation: Revocation::Individual,
        };
        Ok(Minted::new(intended, credential))
    }
}

impl fmt::Debug for SshProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshProvider")
            .field("checked", &self.checked)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Provider for SshProvider {
    fn describe(&self) -> Description {
        Description { kind: "ssh", long_lived: false, revocable: true, scoped: true }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(within("signing a certificate", deadline, self.minted(intended, self.clock.now())))
    }

    /// Succeeds and changes nothing: a writ that ended is on the list that the broker publishes, by its own record.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Gone) })
    }

    /// Whether the authority's key signs. Whether a host trusts it shows at the first session.
    fn probe<'a>(&'a self, _target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(within("asking the authority's key", deadline, self.authority.probe()))
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }

    fn ssh(&self) -> Option<&dyn SshAuthority> {
        Some(&*self.authority)
    }
}
