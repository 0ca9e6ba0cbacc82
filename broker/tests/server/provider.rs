//! A provider that mints at once and has nothing to take back, and an SSH authority that signs nothing and says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::rotation::{Reached, Rotation, Turn};
use writ_core::ssh::{AuthorityKey, HostCertificate, HostRequest, SshAuthority};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

/// The authority's name in addresses.
pub(crate) const AUTHORITY: &str = "00ff";

/// Its authority, and whether the second user of a password that takes turns is in use.
#[derive(Debug)]
pub(crate) struct InMemory(AuthorityKey, AtomicBool);

impl Default for InMemory {
    fn default() -> Self {
        Self(AuthorityKey { fingerprint: AUTHORITY.to_owned(), blob: Vec::new() }, AtomicBool::new(false))
    }
}

impl SshAuthority for InMemory {
    fn key(&self) -> &AuthorityKey {
        &self.0
    }

    fn others(&self) -> &[AuthorityKey] {
        &[]
    }

    fn trusted(&self) -> Vec<String> {
        vec!["an authority".to_owned()]
    }

    fn revocation_list(&self, _: &[&AuthorityKey], ended: &[WritId], _: Timestamp) -> Vec<u8> {
        ended.iter().map(|writ| format!("{writ}\n")).collect::<String>().into_bytes()
    }

    fn certify_host<'a>(&'a self, request: &'a HostRequest) -> Pending<'a, Result<HostCertificate, ProviderFault>> {
        Box::pin(async {
            let line = format!("a certificate for {}", request.names.join(" "));
            Ok(HostCertificate { line, key: request.key.clone(), serial: 7 })
        })
    }
}

/// Turns of a password that nobody has.
struct OneTurn<'a> {
    steps: u8,
    /// Whether the second user is in use.
    second: &'a AtomicBool,
}

impl Turn for OneTurn<'_> {
    fn in_use(&self) -> &'static str {
        if self.second.load(Ordering::SeqCst) { "app_b" } else { "app_a" }
    }

    fn due(&self) -> &'static str {
        if self.second.load(Ordering::SeqCst) { "app_a" } else { "app_b" }
    }

    fn found(&self) -> Fingerprint {
        Fingerprint::of_source("memory")
    }

    fn try_in_use(&self, _: Duration) -> Pending<'_, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    fn step(&mut self, _: Duration) -> Pending<'_, Result<Reached, ProviderFault>> {
        Box::pin(async {
            self.steps += 1;
            Ok(match self.steps {
                1 => Reached::Set,
                2 => Reached::Verified,
                _ => {
                    self.second.fetch_xor(true, Ordering::SeqCst);
                    Reached::Switched(self.found())
                }
            })
        })
    }
}

impl Rotation for InMemory {
    fn every(&self) -> Duration {
        Duration::from_hours(24 * 30)
    }

    fn begin<'a>(&'a self, _: &'a Target, _: Duration) -> Pending<'a, Result<Box<dyn Turn + 'a>, ProviderFault>> {
        Box::pin(async { Ok(Box::new(OneTurn { steps: 0, second: &self.1 }) as Box<dyn Turn + 'a>) })
    }
}

impl Provider for InMemory {
    fn rotation(&self) -> Option<&dyn Rotation> {
        Some(self)
    }

    fn describe(&self) -> Description {
        Description { kind: "test", long_lived: false, revocable: true, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _: &'a Target,
        intended: Intended,
        _: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            let secret = Secret::new(b"one secret for one test, 32 byte".to_vec());
            let credential = Credential {
                kind: CredentialKind::DatabaseRole,
                principal: intended.writ().id.to_string(),
                fingerprint: Fingerprint::of_random(&secret),
                secret,
                expires: Some(intended.writ().expires),
                audit: intended.writ().id.to_string(),
                revocation: Revocation::Individual,
            };
            Ok(Minted::new(intended, credential))
        })
    }

    fn revoke<'a>(&'a self, _: &'a Target, _: &'a Writ, _: Duration) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Gone) })
    }

    fn probe<'a>(&'a self, _: &'a Target, _: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    fn ssh(&self) -> Option<&dyn SshAuthority> {
        Some(self)
    }

    fn revoke_older<'a>(&'a self, _: &'a Target, _: Timestamp, _: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    fn sweep<'a>(&'a self, _: &'a Target, _: &'a [WritId], _: Duration) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }
}
