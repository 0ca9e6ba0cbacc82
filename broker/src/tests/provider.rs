//! A provider in memory. It fails in the ways that targets do, and holds the broker to its promises.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::ssh::{AuthorityKey, HostCertificate, HostRequest, SshAuthority};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

/// What the next calls do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// What is asked.
    #[default]
    Good,
    /// The target says no.
    Refused,
    /// The call never came to the target.
    NotPersisted,
    /// The call came to the target, and its answer was lost.
    Persisted,
    /// The target has it and does not answer, whatever the deadline says.
    Hanging,
    /// The detail is longer than any ledger entry.
    Verbose,
    /// The target has it, and the call breaks off by a bug.
    Panicking,
}

#[derive(Debug, Default)]
struct State {
    mint: Mode,
    revoke: Mode,
    living: BTreeMap<WritId, String>,
    minted: Vec<WritId>,
    revoked: Vec<WritId>,
    revoke_calls: usize,
    sweep: Mode,
    swept_with: Vec<Vec<WritId>>,
    present: Mode,
    presented: usize,
    older: Vec<Timestamp>,
    keeps: bool,
    shares: bool,
    /// What it calls itself, where that is not `fake`.
    kind: Option<&'static str>,
}

/// The provider and the target behind it in one, with an SSH authority.
#[derive(Debug)]
pub(super) struct Fake(Mutex<State>, Vec<AuthorityKey>);

impl Default for Fake {
    fn default() -> Self {
        Self::with_keys(&["00ff"])
    }
}

/// Stands in every secret, so that a leak is found wherever it went.
pub(super) const CANARY: &str = "canary-4c1f";

impl Fake {
    /// One whose authority signs with the first key and trusts them all.
    pub(super) fn with_keys(fingerprints: &[&str]) -> Self {
        let key = |text: &&str| AuthorityKey { fingerprint: (*text).to_owned(), blob: text.as_bytes().to_vec() };
        Self(Mutex::default(), fingerprints.iter().map(key).collect())
    }

    pub(super) fn on_mint(&self, mode: Mode) {
        self.0.lock().unwrap().mint = mode;
    }

    /// What presenting does: `Persisted` stands for a target that takes the credential for another's.
    pub(super) fn on_present(&self, mode: Mode) {
        self.0.lock().unwrap().present = mode;
    }

    pub(super) fn presented(&self) -> usize {
        self.0.lock().unwrap().presented
    }

    /// From now on the target takes no credential back alone: a revocation succeeds and changes nothing.
    pub(super) fn keeps_credentials(&self) {
        self.0.lock().unwrap().keeps = true;
    }

    /// From now on credentials say that they are taken back with all of their role alone.
    pub(super) fn shares_credentials(&self) {
        self.0.lock().unwrap().shares = true;
    }

    /// From now on it is a provider of another kind.
    pub(super) fn becomes(&self, kind: &'static str) {
        self.0.lock().unwrap().kind = Some(kind);
    }

    pub(super) fn on_sweep(&self, mode: Mode) {
        self.0.lock().unwrap().sweep = mode;
    }

    /// The times before which everything was taken back.
    pub(super) fn older(&self) -> Vec<Timestamp> {
        self.0.lock().unwrap().older.clone()
    }

    pub(super) fn on_revoke(&self, mode: Mode) {
        self.0.lock().unwrap().revoke = mode;
    }

    /// The credentials that live at the target.
    pub(super) fn living(&self) -> Vec<WritId> {
        self.0.lock().unwrap().living.keys().copied().collect()
    }

    pub(super) fn minted(&self) -> Vec<WritId> {
        self.0.lock().unwrap().minted.clone()
    }

    pub(super) fn revoked(&self) -> Vec<WritId> {
        self.0.lock().unwrap().revoked.clone()
    }

    pub(super) fn revoke_calls(&self) -> usize {
        self.0.lock().unwrap().revoke_calls
    }

    pub(super) fn swept_with(&self) -> Vec<Vec<WritId>> {
        self.0.lock().unwrap().swept_with.clone()
    }

    pub(super) fn secret_of(&self, writ: WritId) -> Option<String> {
        self.0.lock().unwrap().living.get(&writ).cloned()
    }

    /// What a crash between mint and log leaves at the target.
    pub(super) fn plant(&self, writ: WritId) {
        self.0.lock().unwrap().living.insert(writ, format!("{CANARY}-{writ}"));
    }

    fn begin(&self, writ: WritId) -> Mode {
        let mut state = self.0.lock().unwrap();
        assert!(!state.minted.contains(&writ), "one writ, one mint: {writ}");
        state.minted.push(writ);
        if matches!(state.mint, Mode::Good | Mode::Persisted | Mode::Hanging | Mode::Panicking) {
            state.living.insert(writ, format!("{CANARY}-{writ}"));
        }
        state.mint
    }
}

fn credential(writ: &Writ) -> Credential {
    let secret = Secret::new(format!("{CANARY}-{}", writ.id).into_bytes());
    let fingerprint = Fingerprint::of_random(&secret);
    let kind = CredentialKind::SshCertificate;
    let principal = format!("role_{}", writ.id);
    let (audit, revocation) = (principal.clone(), Revocation::Individual);
    Credential { kind, principal, secret, expires: Some(writ.expires), fingerprint, audit, revocation }
}

fn fault(mode: Mode) -> ProviderFault {
    match mode {
        Mode::Refused => ProviderFault::Refused("the target said no".to_owned()),
        Mode::Verbose => ProviderFault::Refused("\u{1}".repeat(100_000)),
        _ => ProviderFault::Unreachable("the target did not answer".to_owned()),
    }
}

/// The list is a line for each key and writ; hosts with `canary` in their key are not signed for.
impl SshAuthority for Fake {
    fn key(&self) -> &AuthorityKey {
        &self.1[0]
    }

    fn others(&self) -> &[AuthorityKey] {
        &self.1[1..]
    }

    fn trusted(&self) -> Vec<String> {
        vec!["ssh-ed25519 AAAA writ".to_owned()]
    }

    fn revocation_list(&self, keys: &[&AuthorityKey], ended: &[WritId], _: Timestamp) -> Vec<u8> {
        let of = |key: &&AuthorityKey| -> String {
            ended.iter().map(|writ| format!("{} {writ}\n", key.fingerprint)).collect()
        };
        keys.iter().map(of).collect::<String>().into_bytes()
    }

    fn certify_host<'a>(&'a self, request: &'a HostRequest) -> Pending<'a, Result<HostCertificate, ProviderFault>> {
        Box::pin(async {
            if request.key.contains(CANARY) {
                return Err(ProviderFault::Misconfigured("the key is none".to_owned()));
            }
            let line = format!("certificate for {}", request.names.join(","));
            Ok(HostCertificate { line, key: "SHA256:one".to_owned(), serial: u64::MAX })
        })
    }
}

impl Provider for Fake {
    fn ssh(&self) -> Option<&dyn SshAuthority> {
        Some(self)
    }

    fn describe(&self) -> Description {
        let state = self.0.lock().unwrap();
        let (kind, revocable) = (state.kind.unwrap_or("fake"), !state.keeps);
        Description { kind, long_lived: false, revocable, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        _deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            match self.begin(intended.writ().id) {
                Mode::Good => {
                    let mut credential = credential(intended.writ());
                    if self.0.lock().unwrap().shares {
                        credential.revocation = Revocation::WholeRole;
                    }
                    Ok(Minted::new(intended, credential))
                }
                Mode::Hanging => std::future::pending().await,
                Mode::Panicking => panic!("a bug in the mint"),
                mode => Err(fault(mode)),
            }
        })
    }

    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async move {
            assert_eq!(target.name, writ.target, "a writ is taken back where it was minted");
            let (mode, keeps) = {
                let mut state = self.0.lock().unwrap();
                state.revoke_calls += 1;
                if matches!(state.revoke, Mode::Good | Mode::Persisted) && !state.keeps {
                    state.living.remove(&writ.id);
                    state.revoked.push(writ.id);
                }
                (state.revoke, state.keeps)
            };
            match mode {
                Mode::Good => Ok(if keeps { Revoked::Left } else { Revoked::Gone }),
                Mode::Panicking => panic!("a bug in the revocation"),
                Mode::Hanging => std::future::pending().await,
                mode => Err(fault(mode)),
            }
        })
    }

    fn probe<'a>(&'a self, _target: &'a Target, _deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    fn present<'a>(
        &'a self,
        _target: &'a Target,
        credential: &'a Credential,
        _deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        Box::pin(async move {
            let mode = {
                let mut state = self.0.lock().unwrap();
                state.presented += 1;
                let lives = state.living.values().any(|secret| secret.as_bytes() == credential.secret.expose());
                assert!(lives, "what is presented was minted and lives");
                state.present
            };
            let (principal, audit) = (credential.principal.clone(), credential.audit.clone());
            match mode {
                Mode::Good => Ok(Some(Presented { principal, audit })),
                Mode::Persisted => Ok(Some(Presented { principal: "root".to_owned(), audit })),
                Mode::Hanging => std::future::pending().await,
                Mode::NotPersisted => Ok(None),
                mode => Err(fault(mode)),
            }
        })
    }

    fn revoke_older<'a>(
        &'a self,
        _target: &'a Target,
        before: Timestamp,
        _deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move {
            let mut state = self.0.lock().unwrap();
            match state.revoke {
                Mode::Good => {
                    state.older.push(before);
                    Ok(())
                }
                mode => Err(fault(mode)),
            }
        })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        let mode = {
            let mut state = self.0.lock().unwrap();
            state.swept_with.push(live.to_vec());
            state.sweep
        };
        assert_ne!(mode, Mode::Panicking, "a bug in the sweep");
        Box::pin(async { Ok(Swept::default()) })
    }
}
