//! Tests of group commit, recovery and failure.

use std::path::Path;

use writ_core::time::SystemClock;
use writ_ledger::verify::{Visitor, verify};

use super::*;
use crate::keys::{FileSigner, SignFault, Signer};
use crate::store::sqlite::Sqlite;

struct Count(u64);

impl Visitor for Count {
    fn entry(&mut self, _: u64, bytes: &[u8]) -> Result<(), String> {
        Entry::from_canonical(bytes).map_err(|fault| fault.to_string())?;
        self.0 += 1;
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn key() -> FileSigner {
    FileSigner::from_seed(&[1; 32], "ledger").unwrap()
}

fn signer() -> LedgerSigner {
    LedgerSigner::new("test", Arc::new(key())).unwrap()
}

async fn open(state: &Path) -> (Evidence, Writer) {
    let store = Sqlite::open(&state.join("writ.db")).unwrap();
    let directory = Arc::new(LedgerDirectory::open(&state.join("ledger")).unwrap());
    Evidence::recover(store, directory, signer(), Arc::new(SystemClock)).await.unwrap()
}

fn event(number: usize) -> Event {
    Event::BrokerStarted { version: number.to_string(), config_hash: String::new() }
}

fn verified(state: &Path) -> u64 {
    let directory = LedgerDirectory::open(&state.join("ledger")).unwrap();
    let mut count = Count(0);
    let checkpoint = verify(&directory, signer().verifier(), &[], &mut count).unwrap();
    assert_eq!(checkpoint.size, count.0);
    count.0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_durable_and_verifies() {
    let state = tempfile::tempdir().unwrap();
    let (evidence, writer) = open(state.path()).await;
    let task = tokio::spawn(writer.run());
    let writers: Vec<_> = (0..500)
        .map(|number| {
            let evidence = evidence.clone();
            tokio::spawn(async move { evidence.event(event(number)).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    drop(evidence);
    task.await.unwrap();
    assert_eq!(verified(state.path()), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_applies_what_a_crash_left() {
    let state = tempfile::tempdir().unwrap();
    let (evidence, mut writer) = open(state.path()).await;
    for number in 0..300 {
        let (reply, _answer) = oneshot::channel();
        let entries = vec![canonical(Timestamp::UNIX_EPOCH, event(number)).unwrap()];
        // Committed, and killed before anything was applied.
        writer.committer.commit(vec![Staged { request: Request { entries, ..Request::default() }, reply }]).await;
    }
    drop((evidence, writer));
    assert_eq!(verified(state.path()), 0);
    let (evidence, writer) = open(state.path()).await;
    assert_eq!(evidence.published().borrow().size, 300);
    drop((evidence, writer));
    assert_eq!(verified(state.path()), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_and_a_store_that_do_not_belong_together_are_refused() {
    let state = tempfile::tempdir().unwrap();
    let (evidence, writer) = open(state.path()).await;
    let task = tokio::spawn(writer.run());
    evidence.event(event(1)).await.unwrap();
    drop(evidence);
    task.await.unwrap();
    std::fs::remove_dir_all(state.path().join("ledger")).unwrap();
    let store = Sqlite::open(&state.path().join("writ.db")).unwrap();
    let directory = Arc::new(LedgerDirectory::open(&state.path().join("ledger")).unwrap());
    let outcome = Evidence::recover(store, directory, signer(), Arc::new(SystemClock)).await;
    assert!(matches!(outcome, Err(EvidenceFault::Unwritable(_) | EvidenceFault::Broken)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_tile_is_refused_at_the_start_and_nothing_is_signed_over_it() {
    for changed in ["tile/0/000.p/3", "tile/entries/000.p/3"] {
        let state = tempfile::tempdir().unwrap();
        let (evidence, writer) = open(state.path()).await;
        let task = tokio::spawn(writer.run());
        for number in 0..3 {
            evidence.event(event(number)).await.unwrap();
        }
        drop(evidence);
        task.await.unwrap();
        let checkpoint = state.path().join("ledger").join("checkpoint");
        let before = std::fs::read(&checkpoint).unwrap();
        let tile = state.path().join("ledger").join(changed);
        let mut bytes = std::fs::read(&tile).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&tile, bytes).unwrap();
        let store = Sqlite::open(&state.path().join("writ.db")).unwrap();
        let directory = Arc::new(LedgerDirectory::open(&state.path().join("ledger")).unwrap());
        let outcome = Evidence::recover(store, directory, signer(), Arc::new(SystemClock)).await;
        assert!(matches!(outcome, Err(EvidenceFault::Unwritable(_) | EvidenceFault::Broken)), "{changed}");
        assert_eq!(std::fs::read(&checkpoint).unwrap(), before, "{changed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_as_often_as_it_may_be_and_no_more() {
    let state = tempfile::tempdir().unwrap();
    let (evidence, writer) = open(state.path()).await;
    let task = tokio::spawn(writer.run());
    let attempts: Vec<_> = (0..50)
        .map(|number| {
            let evidence = evidence.clone();
            let condition = Condition::Use { key: "jti:x".to_owned(), expires: Timestamp::MAX, uses: 3, holder: None };
            tokio::spawn(async move { evidence.write(vec![event(number)], vec![condition], Vec::new()).await })
        })
        .collect();
    let mut taken = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(()) => taken += 1,
            Err(fault) => assert_eq!(fault, EvidenceFault::Refused),
        }
    }
    drop(evidence);
    task.await.unwrap();
    assert_eq!((taken, verified(state.path())), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_too_long_harms_nobody_else() {
    let state = tempfile::tempdir().unwrap();
    let (evidence, writer) = open(state.path()).await;
    let task = tokio::spawn(writer.run());
    let long = Event::BrokerStarted { version: "x".repeat(70_000), config_hash: String::new() };
    assert!(matches!(evidence.event(long).await, Err(EvidenceFault::TooLong(_))));
    evidence.event(event(1)).await.unwrap();
    drop(evidence);
    task.await.unwrap();
    assert_eq!(verified(state.path()), 1);
}

/// A key elsewhere, which fails in one of the ways that a service has.
#[derive(Debug)]
struct Elsewhere {
    key: FileSigner,
    fails: std::sync::Mutex<Option<&'static str>>,
}

impl Signer for Elsewhere {
    fn key_id(&self) -> &str {
        "elsewhere"
    }

    fn public(&self) -> &[u8] {
        self.key.public()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> writ_core::provider::Pending<'a, Result<Vec<u8>, SignFault>> {
        let fails = *self.fails.lock().unwrap();
        match fails {
            None => self.key.sign(message),
            Some("another text") => self.key.sign(b"another text"),
            Some(why) => Box::pin(async move { Err(SignFault { key: "elsewhere".to_owned(), why: why.to_owned() }) }),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_signature_that_verifies_nothing_is_published_and_nothing_new_taken() {
    for why in ["it cannot be reached", "another text"] {
        let state = tempfile::tempdir().unwrap();
        let elsewhere = Arc::new(Elsewhere { key: key(), fails: std::sync::Mutex::default() });
        let store = Sqlite::open(&state.path().join("writ.db")).unwrap();
        let directory = Arc::new(LedgerDirectory::open(&state.path().join("ledger")).unwrap());
        let signer = LedgerSigner::new("test", elsewhere.clone()).unwrap();
        let (evidence, writer) = Evidence::recover(store, directory, signer, Arc::new(SystemClock)).await.unwrap();
        let task = tokio::spawn(writer.run());
        *elsewhere.fails.lock().unwrap() = Some(why);
        evidence.event(event(1)).await.unwrap();
        let mut published = evidence.published();
        published.wait_for(|published| !published.healthy).await.unwrap();
        assert_eq!(published.borrow().size, 0);
        assert!(matches!(evidence.event(event(2)).await, Err(EvidenceFault::Unwritable(_))), "{why}");
        *elsewhere.fails.lock().unwrap() = None;
        published.wait_for(|published| published.healthy && published.size == 1).await.unwrap();
        evidence.event(event(3)).await.unwrap();
        drop(evidence);
        task.await.unwrap();
        assert_eq!(verified(state.path()), 2);
    }
}
