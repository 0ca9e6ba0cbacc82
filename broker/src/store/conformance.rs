//! What every store must do. An implementation runs [`suite`] with a maker of fresh places, each of which can be opened again.

use std::future::Future;
use std::sync::Arc;

use writ_broker_api::admin::Segment;
use writ_broker_api::sealed::{Base64, SealingKey};
use writ_core::client::ClientKey;
use writ_core::credential::{CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::event::{Actor, SessionEnd};
use writ_core::freeze::{Freeze, FreezeScope};
use writ_core::grant::{Obligations, PolicyHash, RecordLevel};
use writ_core::id::{FreezeId, GatewayId, SessionId, WritId};
use writ_core::rotation::{TurnRecord, TurnState};
use writ_core::target::{Labels, TargetName};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{Issuer, Subject};
use writ_core::writ::{CredentialFacts, Writ, WritState};
use writ_ledger::Hash;

use super::{Change, Client, Committed, Condition, EnrolledGateway, Request, Rows, Seal, Store, StoreFault, Uses};

/// A place that a store can be opened at, again and again.
pub(crate) trait Place {
    /// Opens it.
    fn open(&self) -> Arc<dyn Store>;
}

/// The whole suite.
pub(crate) async fn suite<P: Place>(fresh: impl Fn() -> P) {
    on(&fresh, conditions_are_all_or_nothing).await;
    on(&fresh, uses_are_exact).await;
    on(&fresh, a_token_is_its_first_holders).await;
    on(&fresh, uses_are_kept_as_long_as_anybody_asked).await;
    on(&fresh, join_tokens_are_used_once_and_end).await;
    on(&fresh, a_refused_request_leaves_nothing_and_harms_no_other).await;
    on(&fresh, another_appender_is_noticed).await;
    on(&fresh, a_seal_that_fails_leaves_nothing).await;
    on(&fresh, entries_come_in_order_and_are_forgotten_once_applied).await;
    on(&fresh, lists_are_newest_first_and_page).await;
    on(&fresh, sessions_are_found_by_their_clients_key).await;
    on(&fresh, overdue_is_what_nobody_settled).await;
    on(&fresh, ended_certificates_are_those_that_must_not_count_any_more).await;
    on(&fresh, revocations_fall_due_and_end).await;
    on(&fresh, a_close_happens_once_and_takes_its_orders).await;
    on(&fresh, segments_and_conditions_on_them).await;
    on(&fresh, gateways_join_renew_and_stay_revoked).await;
    on(&fresh, a_freeze_orders_what_it_covers_and_nothing_else).await;
    on(&fresh, a_freeze_refuses_what_it_covers_until_it_is_lifted).await;
    on(&fresh, a_turn_is_written_by_whoever_knew_the_last_word_of_it).await;
    on(&fresh, policy_numbers_only_grow).await;
    on(&fresh, what_ended_is_forgotten_and_nothing_else).await;
    everything_survives_opening_again(&fresh()).await;
}

async fn on<P: Place, F: Future<Output = ()>>(fresh: &impl Fn() -> P, test: impl Fn(Arc<dyn Store>) -> F) {
    let place = fresh();
    test(place.open()).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn sum() -> Seal {
    Box::new(|before, entries| {
        let mut root = [0; 32];
        root[0] = u8::try_from(before % 256).unwrap();
        root[1] = u8::try_from(entries.len() % 256).unwrap();
        Ok(Hash(root))
    })
}

/// Commits at the present size.
async fn commit(store: &Arc<dyn Store>, requests: Vec<Request>) -> Committed {
    let size = store.head().await.unwrap().size;
    store.commit(requests, size, sum()).await.unwrap()
}

async fn change(store: &Arc<dyn Store>, changes: Vec<Change>) {
    assert_eq!(commit(store, vec![Request { changes, ..Request::default() }]).await.taken, [true]);
}

async fn holds(store: &Arc<dyn Store>, conditions: Vec<Condition>) -> bool {
    commit(store, vec![Request { conditions, ..Request::default() }]).await.taken == [true]
}

fn entry(text: &str) -> Request {
    Request { entries: vec![text.as_bytes().to_vec()], ..Request::default() }
}

fn key(letter: char) -> ClientKey {
    format!("{}A", letter.to_string().repeat(42)).parse().unwrap()
}

fn client() -> Client {
    Client { address: "192.0.2.1:5".to_owned(), ..Client::default() }
}

fn used_with(key: &str, uses: u32, holder: Option<ClientKey>) -> Condition {
    Condition::Use { key: key.to_owned(), expires: at(100), uses, holder }
}

fn used(key: &str, uses: u32) -> Condition {
    used_with(key, uses, None)
}

pub(crate) fn writ(gateway: GatewayId, state: WritState, opened: i64, expires: i64) -> Writ {
    Writ {
        id: WritId::fresh(),
        session: SessionId::fresh(),
        gateway,
        issuer: Issuer::new("https://issuer.example"),
        subject: Subject::new("job 'one'; \u{1f600}"),
        target: TargetName::new("main").unwrap(),
        provider: Some("database".to_owned()),
        obligations: Obligations {
            ttl_seconds: 60,
            role: None,
            scope: None,
            record: RecordLevel::Commands,
            uses: 1,
            connection_limit: None,
            limits: Box::default(),
            masks: Vec::new(),
        },
        policy_hash: PolicyHash::new("00"),
        policies: vec!["p".to_owned()],
        state,
        opened: at(opened),
        expires: at(expires),
        credential: None,
        closed: None,
    }
}

async fn opened(store: &Arc<dyn Store>, state: WritState, opened: i64, expires: i64) -> Writ {
    let writ = writ(GatewayId::fresh(), state, opened, expires);
    change(store, vec![Change::Open { writ: writ.clone(), client: client() }]).await;
    writ
}

fn close(writ: &Writ, at: Timestamp) -> Change {
    Change::CloseSession { session: writ.session, at, end: SessionEnd::Client, commands: 7 }
}

fn segment(sequence: u64) -> Segment {
    Segment { stream: "commands".to_owned(), sequence, digest: format!("{sequence:064x}"), bytes: 5 }
}

fn serves() -> Labels {
    [("env".to_owned(), "test 'one'".to_owned())].into()
}

fn joining(id: GatewayId) -> EnrolledGateway {
    let sealing_key = SealingKey(Base64(vec![7; 32]));
    EnrolledGateway {
        id,
        serial: "aa".to_owned(),
        sealing_key,
        enrolled: at(0),
        seen: None,
        revoked: false,
        serves: serves(),
    }
}

async fn conditions_are_all_or_nothing(store: Arc<dyn Store>) {
    let never = Condition::SessionOpen(SessionId::fresh());
    assert!(!holds(&store, vec![used("a", 1), never.clone()]).await, "the second condition fails");
    assert!(holds(&store, vec![used("a", 1)]).await, "and the first one's use was given back");
    assert!(!holds(&store, vec![used("a", 1)]).await);
    let token = Condition::JoinToken { digest: "d".to_owned(), now: at(0) };
    change(&store, vec![Change::JoinToken { digest: "d".to_owned(), expires: at(9), serves: serves() }]).await;
    assert!(!holds(&store, vec![token.clone(), never]).await);
    assert!(holds(&store, vec![token]).await);
}

async fn uses_are_exact(store: Arc<dyn Store>) {
    let requests = (0..10).map(|_| Request { conditions: vec![used("t", 3)], ..entry("x") }).collect();
    let committed = commit(&store, requests).await;
    assert_eq!(committed.taken.iter().filter(|taken| **taken).count(), 3);
    assert_eq!(committed.entries.len(), 3);
    assert!(!holds(&store, vec![used("t", 3)]).await);
    assert!(holds(&store, vec![used("T", 1)]).await, "keys are told apart byte by byte");
    assert!(!holds(&store, vec![used("none", 0)]).await);
}

async fn join_tokens_are_used_once_and_end(store: Arc<dyn Store>) {
    let token = |digest: &str, now| vec![Condition::JoinToken { digest: digest.to_owned(), now }];
    for digest in ["one", "two"] {
        change(&store, vec![Change::JoinToken { digest: digest.to_owned(), expires: at(10), serves: serves() }]).await;
    }
    assert_eq!(store.join_token("one").await.unwrap(), Some(serves()));
    assert_eq!(store.join_token("other").await.unwrap(), None);
    assert!(!holds(&store, token("other", at(0))).await);
    assert!(!holds(&store, token("one", at(10))).await, "it has ended");
    assert!(holds(&store, token("one", at(9))).await);
    assert!(!holds(&store, token("one", at(9))).await, "it was used");
    assert!(holds(&store, token("two", at(9))).await);
}

async fn a_token_is_its_first_holders(store: Arc<dyn Store>) {
    let (a, b) = (Some(key('a')), Some(key('b')));
    assert_eq!(store.uses("t").await.unwrap(), None);
    assert!(holds(&store, vec![used_with("t", 3, a.clone())]).await);
    assert!(!holds(&store, vec![used_with("t", 3, b.clone())]).await, "another key");
    assert!(!holds(&store, vec![used("t", 3)]).await, "no key");
    assert_eq!(
        store.uses("t").await.unwrap(),
        Some(Uses { used: 1, holder: a.clone() }),
        "who is refused takes nothing"
    );
    assert!(holds(&store, vec![used_with("t", 3, a.clone())]).await);
    assert!(holds(&store, vec![used("u", 3)]).await);
    assert!(!holds(&store, vec![used_with("u", 3, a.clone())]).await, "a token without a holder gets none");
    assert!(holds(&store, vec![used("u", 3)]).await);
    let both = vec![used_with("v", 3, a.clone()), used_with("t", 3, b)];
    assert!(!holds(&store, both).await);
    assert_eq!(store.uses("v").await.unwrap(), None, "and its holder was given back");
    let at_once: Vec<Request> = ['a', 'b', 'a']
        .into_iter()
        .map(|letter| Request { conditions: vec![used_with("w", 3, Some(key(letter)))], ..Request::default() })
        .collect();
    assert_eq!(commit(&store, at_once).await.taken, [true, false, true], "in one commit too");
    store.prune(at(101)).await.unwrap();
    assert_eq!(store.uses("t").await.unwrap(), None);
}

async fn uses_are_kept_as_long_as_anybody_asked(store: Arc<dyn Store>) {
    let (a, b) = (Some(key('a')), Some(key('b')));
    let until = |token: &str, second| Change::KeepUses { token: token.to_owned(), until: at(second) };
    let use_until = |second, holder: &Option<ClientKey>| {
        let (key, holder) = ("t".to_owned(), holder.clone());
        vec![Condition::Use { key, expires: at(second), uses: 9, holder }]
    };
    for second in [100, 200, 50] {
        assert!(holds(&store, use_until(second, &a)).await);
    }
    store.prune(at(200)).await.unwrap();
    assert_eq!(store.uses("t").await.unwrap(), Some(Uses { used: 3, holder: a.clone() }), "the latest end counts");
    change(&store, vec![until("t", 300), until("t", 150)]).await;
    store.prune(at(300)).await.unwrap();
    assert_eq!(store.uses("t").await.unwrap(), Some(Uses { used: 3, holder: a.clone() }), "and is not a use");
    assert!(!holds(&store, use_until(100, &b)).await);
    store.prune(at(301)).await.unwrap();
    assert_eq!(store.uses("t").await.unwrap(), None);
    // What is to be used yet is nobody's, and is kept for as long.
    change(&store, vec![until("k", 200)]).await;
    assert_eq!(store.uses("k").await.unwrap(), None);
    assert!(!holds(&store, vec![used_with("k", 0, a.clone())]).await);
    assert!(holds(&store, vec![used_with("k", 1, a.clone())]).await);
    store.prune(at(200)).await.unwrap();
    assert!(!holds(&store, vec![used_with("k", 9, b)]).await, "another key");
    assert!(!holds(&store, vec![used_with("k", 1, a.clone())]).await, "used up");
    assert_eq!(store.uses("k").await.unwrap(), Some(Uses { used: 1, holder: a }));
    store.prune(at(201)).await.unwrap();
    assert!(holds(&store, vec![used("k", 1)]).await);
}

async fn sessions_are_found_by_their_clients_key(store: Arc<dyn Store>) {
    let mut of_a = Vec::new();
    for letter in [Some('a'), None, Some('b'), Some('a')] {
        let reason = letter.map(|letter| format!("it's {letter}").parse().unwrap());
        let client = Client { key: letter.map(key), reason, ..client() };
        let writ = writ(GatewayId::fresh(), WritState::Issued, 0, 60);
        change(&store, vec![Change::Open { writ: writ.clone(), client: client.clone() }]).await;
        let read = store.session(writ.session).await.unwrap().unwrap();
        assert_eq!((read.client, read.client_key, read.reason), (client.address, client.key, client.reason));
        if letter == Some('a') {
            of_a.push(writ);
        }
    }
    of_a.sort_by_key(|writ| core::cmp::Reverse(writ.session));
    let ids = |found: Vec<writ_broker_api::admin::Session>| found.iter().map(|one| one.id).collect::<Vec<_>>();
    let all = Rows { limit: 9, after: None, live: false };
    let found = ids(store.sessions(all, Some(&key('a'))).await.unwrap());
    assert_eq!(found, [of_a[0].session, of_a[1].session]);
    let next = Rows { after: Some(found[0]), ..all };
    assert_eq!(ids(store.sessions(next, Some(&key('a'))).await.unwrap()), found[1..]);
    change(&store, vec![close(&of_a[0], at(5))]).await;
    let live = Rows { live: true, ..all };
    assert_eq!(ids(store.sessions(live, Some(&key('a'))).await.unwrap()), found[1..]);
    assert_eq!(ids(store.sessions(all, Some(&key('c'))).await.unwrap()), []);
    assert_eq!(store.sessions(all, None).await.unwrap().len(), 4);
}

async fn a_refused_request_leaves_nothing_and_harms_no_other(store: Arc<dyn Store>) {
    let one = writ(GatewayId::fresh(), WritState::Intended, 0, 60);
    let open = Change::Open { writ: one.clone(), client: Client::default() };
    let never = vec![Condition::SessionOpen(SessionId::fresh())];
    let refused = Request { conditions: never, changes: vec![open], ..entry("refused") };
    let committed = commit(&store, vec![entry("a"), refused, entry("b")]).await;
    assert_eq!(committed.taken, [true, false, true]);
    assert_eq!(committed.entries, [b"a".to_vec(), b"b".to_vec()]);
    assert_eq!((committed.before, store.head().await.unwrap().size), (0, 2));
    assert_eq!(store.writ(one.id).await.unwrap(), None);
    let only = vec![Request { conditions: vec![used("z", 0)], ..entry("no") }];
    assert_eq!(commit(&store, only).await.entries, Vec::<Vec<u8>>::new());
    assert_eq!(store.head().await.unwrap().size, 2);
}

async fn another_appender_is_noticed(store: Arc<dyn Store>) {
    commit(&store, vec![entry("a")]).await;
    let request = Request { conditions: vec![used("k", 1)], ..entry("b") };
    assert!(store.commit(vec![request], 0, sum()).await.is_err());
    assert_eq!(store.head().await.unwrap().size, 1);
    assert!(holds(&store, vec![used("k", 1)]).await, "nothing of it was taken");
}

async fn a_seal_that_fails_leaves_nothing(store: Arc<dyn Store>) {
    let seal: Seal = Box::new(|_, _| Err(StoreFault("no".to_owned())));
    let request = Request { conditions: vec![used("k", 1)], ..entry("b") };
    assert_eq!(store.commit(vec![request], 0, seal).await, Err(StoreFault("no".to_owned())));
    assert_eq!(store.head().await.unwrap().size, 0);
    assert!(holds(&store, vec![used("k", 1)]).await);
}

async fn entries_come_in_order_and_are_forgotten_once_applied(store: Arc<dyn Store>) {
    let committed = commit(&store, (0..300).map(|number| entry(&number.to_string())).collect()).await;
    assert_eq!(committed.entries.len(), 300);
    let head = store.head().await.unwrap();
    assert_eq!((head.size, head.applied, head.root.0[1]), (300, 0, 44));
    let read = store.entries(10, 5).await.unwrap();
    assert_eq!(read, (10..15).map(|number| number.to_string().into_bytes()).collect::<Vec<_>>());
    store.applied(200).await.unwrap();
    store.applied(100).await.unwrap();
    assert_eq!(store.head().await.unwrap().applied, 200, "it never goes back");
    assert!(store.entries(199, 5).await.is_err(), "an entry that is gone is no gap to read over");
    assert_eq!(store.entries(200, 1000).await.unwrap().len(), 100);
    assert_eq!(store.entries(300, 1000).await.unwrap(), Vec::<Vec<u8>>::new());
}

async fn lists_are_newest_first_and_page(store: Arc<dyn Store>) {
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(opened(&store, WritState::Issued, number, 60).await);
    }
    all.sort_by_key(|writ| core::cmp::Reverse(writ.id));
    let first = store.writs(Rows { limit: 2, after: None, live: false }).await.unwrap();
    assert_eq!(first, all[..2]);
    let next = store.writs(Rows { limit: 9, after: Some(first[1].id), live: false }).await.unwrap();
    assert_eq!(next, all[2..]);
    change(&store, vec![close(&all[0], at(5))]).await;
    let live = store.writs(Rows { limit: 9, after: None, live: true }).await.unwrap();
    assert_eq!(live, all[1..]);

    let mut sessions: Vec<SessionId> = all.iter().map(|writ| writ.session).collect();
    sessions.sort_by_key(|session| core::cmp::Reverse(*session));
    let page = store.sessions(Rows { limit: 3, after: None, live: false }, None).await.unwrap();
    assert_eq!(page.iter().map(|session| session.id).collect::<Vec<_>>(), sessions[..3]);
    let rest = store.sessions(Rows { limit: 3, after: Some(sessions[2]), live: false }, None).await.unwrap();
    assert_eq!(rest.iter().map(|session| session.id).collect::<Vec<_>>(), sessions[3..]);
    let live = store.sessions(Rows { limit: 9, after: None, live: true }, None).await.unwrap();
    assert!(live.len() == 4 && live.iter().all(|session| session.closed.is_none()));
}

async fn overdue_is_what_nobody_settled(store: Arc<dyn Store>) {
    let old = opened(&store, WritState::Intended, 0, 1000).await;
    let _young = opened(&store, WritState::Intended, 50, 1000).await;
    let expired = opened(&store, WritState::Issued, 0, 20).await;
    let closed = opened(&store, WritState::Issued, 0, 20).await;
    let _living = opened(&store, WritState::Issued, 0, 500).await;
    let _failed = opened(&store, WritState::Failed, 0, 20).await;
    change(&store, vec![close(&closed, at(10))]).await;
    let mut found: Vec<WritId> = store.overdue(at(40), at(40)).await.unwrap().into_iter().map(|writ| writ.id).collect();
    found.sort();
    let mut expected = vec![old.id, expired.id];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(store.live_writs().await.unwrap().len(), 5, "all but the failed one may have a credential");
}

/// What was minted, of this kind.
fn minted(kind: CredentialKind) -> CredentialFacts {
    let (principal, fingerprint) = ("deploy".to_owned(), Fingerprint::of_random(&Secret::new(vec![7; 32])));
    let (audit, revocation, expires) = (None, Some(Revocation::Individual), Some(at(100)));
    CredentialFacts { kind, principal, audit, revocation, fingerprint, expires, long_lived: false }
}

async fn ended_certificates_are_those_that_must_not_count_any_more(store: Arc<dyn Store>) {
    let (ssh, none) = (Some(CredentialKind::SshCertificate), None);
    let put = async |state, expires, kind: Option<CredentialKind>, then: &dyn Fn(&Writ) -> Vec<Change>| {
        let opened = writ(GatewayId::fresh(), WritState::Intended, 0, expires);
        change(&store, vec![Change::Open { writ: opened.clone(), client: client() }]).await;
        let now = Writ { state, credential: kind.map(minted), ..opened };
        change(&store, vec![Change::Writ(now.clone())]).await;
        change(&store, then(&now)).await;
        now
    };
    let nothing = |_: &Writ| Vec::new();
    let revoke = |writ: &Writ| vec![Change::Revoke { writ: writ.id, due: at(90), attempts: 0 }];
    let closed = |writ: &Writ| vec![close(writ, at(5))];
    let mut expected = Vec::new();
    for state in [WritState::Closed, WritState::Failed, WritState::Abandoned, WritState::Irrevocable] {
        for kind in [ssh, none] {
            expected.push(put(state, 100, kind, &nothing).await.id);
            put(state, 50, kind, &nothing).await;
        }
        put(state, 100, Some(CredentialKind::DatabaseRole), &revoke).await;
    }
    for (state, kind) in [(WritState::Intended, none), (WritState::Issued, ssh), (WritState::Issued, none)] {
        put(state, 100, kind, &nothing).await;
        expected.push(put(state, 100, kind, &revoke).await.id);
        put(state, 50, kind, &revoke).await;
        expected.push(put(state, 100, kind, &closed).await.id);
        put(state, 50, kind, &closed).await;
    }
    put(WritState::Issued, 100, Some(CredentialKind::DatabaseRole), &closed).await;
    let both = |writ: &Writ| [closed(writ), revoke(writ)].concat();
    expected.push(put(WritState::Irrevocable, 100, ssh, &both).await.id);
    let mut found = store.ended_certificates(at(50)).await.unwrap();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "each once");
    assert_eq!(store.ended_certificates(at(100)).await.unwrap(), []);
    // One that is opened with all that is known of it, and one that was taken back while it lived.
    let (gateway, kind) = (GatewayId::fresh(), CredentialKind::DatabaseRole);
    let known = Writ { credential: Some(minted(kind)), ..writ(gateway, WritState::Closed, 0, 200) };
    change(&store, vec![Change::Open { writ: known, client: Client::default() }]).await;
    let back = put(WritState::Issued, 200, ssh, &revoke).await;
    assert_eq!(store.ended_certificates(at(100)).await.unwrap(), [back.id]);
    change(&store, vec![Change::Revoked(back.id)]).await;
    assert_eq!(store.ended_certificates(at(100)).await.unwrap(), []);
}

async fn revocations_fall_due_and_end(store: Arc<dyn Store>) {
    let (early, late) = (opened(&store, WritState::Issued, 0, 9).await, opened(&store, WritState::Issued, 0, 9).await);
    let revoke = |writ: &Writ, due, attempts| Change::Revoke { writ: writ.id, due, attempts };
    change(&store, vec![revoke(&late, at(20), 0), revoke(&early, at(10), 0)]).await;
    assert_eq!(store.due_revocations(at(9), 9).await.unwrap(), []);
    let due = store.due_revocations(at(10), 9).await.unwrap();
    assert_eq!(due.iter().map(|due| (due.writ.id, due.attempts)).collect::<Vec<_>>(), [(early.id, 0)]);
    let first = store.due_revocations(at(99), 1).await.unwrap();
    assert_eq!(first[0].writ.id, early.id, "the longest due comes first");
    change(&store, vec![revoke(&early, at(30), 4)]).await;
    let due = store.due_revocations(at(30), 9).await.unwrap();
    let due: Vec<_> = due.iter().map(|due| (due.writ.id, due.attempts)).collect();
    assert_eq!(due, [(late.id, 0), (early.id, 4)]);
    change(&store, vec![Change::Revoked(late.id), Change::Revoked(early.id)]).await;
    assert_eq!(store.due_revocations(at(99), 9).await.unwrap(), []);
}

async fn a_close_happens_once_and_takes_its_orders(store: Arc<dyn Store>) {
    let one = opened(&store, WritState::Issued, 0, 60).await;
    let order = |reason: &str| Change::Order { session: one.session, gateway: one.gateway, reason: reason.to_owned() };
    change(&store, vec![order("first"), order("second")]).await;
    assert_eq!(store.orders(one.gateway).await.unwrap(), [(one.session, "first".to_owned())]);
    assert_eq!(store.orders(GatewayId::fresh()).await.unwrap(), []);
    assert!(holds(&store, vec![Condition::SessionOpen(one.session)]).await);
    assert_eq!(store.open_sessions(one.gateway).await.unwrap().len(), 1);
    change(&store, vec![close(&one, at(5))]).await;
    let late = Change::CloseSession { session: one.session, at: at(9), end: SessionEnd::Crash, commands: 0 };
    change(&store, vec![late]).await;
    assert!(!holds(&store, vec![Condition::SessionOpen(one.session)]).await);
    assert_eq!(store.orders(one.gateway).await.unwrap(), []);
    assert!(store.open_sessions(one.gateway).await.unwrap().is_empty());
    let session = store.session(one.session).await.unwrap().unwrap();
    assert_eq!((session.closed, session.end, session.commands), (Some(at(5)), Some(SessionEnd::Client), Some(7)));
    assert_eq!((session.client.as_str(), session.writ.id), ("192.0.2.1:5", one.id));
    let closed = Writ { state: WritState::Closed, closed: Some(at(6)), ..one.clone() };
    assert!(holds(&store, vec![Condition::WritIs(one.id, WritState::Issued)]).await);
    change(&store, vec![Change::Writ(closed.clone())]).await;
    assert!(!holds(&store, vec![Condition::WritIs(one.id, WritState::Issued)]).await);
    assert_eq!(store.writ(one.id).await.unwrap(), Some(closed));
}

async fn segments_and_conditions_on_them(store: Arc<dyn Store>) {
    let one = opened(&store, WritState::Issued, 0, 60).await;
    let absent = |stream: &str, sequence| {
        vec![Condition::SegmentAbsent { session: one.session, stream: stream.to_owned(), sequence }]
    };
    for number in [10, 2] {
        change(&store, vec![Change::Segment { session: one.session, segment: segment(number) }]).await;
    }
    assert!(!holds(&store, absent("commands", 2)).await);
    assert!(holds(&store, absent("rows", 2)).await && holds(&store, absent("commands", 3)).await);
    let session = store.session(one.session).await.unwrap().unwrap();
    assert_eq!(session.segments, [segment(2), segment(10)]);
    // The same number twice in one commit: the second is refused, the first stands.
    let request = || Request {
        conditions: absent("commands", 3),
        changes: vec![Change::Segment { session: one.session, segment: segment(3) }],
        ..Request::default()
    };
    assert_eq!(commit(&store, vec![request(), request()]).await.taken, [true, false]);
}

async fn gateways_join_renew_and_stay_revoked(store: Arc<dyn Store>) {
    let id = GatewayId::fresh();
    assert_eq!(store.gateway(id).await.unwrap(), None);
    change(&store, vec![Change::Gateway(joining(id))]).await;
    assert_eq!(store.gateway(id).await.unwrap(), Some(joining(id)));
    assert!(holds(&store, vec![Condition::GatewayGood(id)]).await);
    assert!(!holds(&store, vec![Condition::GatewayGood(GatewayId::fresh())]).await);
    change(&store, vec![Change::GatewaySeen { gateway: id, at: at(3) }, Change::RevokeGateway(id)]).await;
    let renewed = EnrolledGateway {
        serial: "bb".to_owned(),
        sealing_key: SealingKey(Base64(vec![8; 32])),
        enrolled: at(50),
        serves: [("env".to_owned(), "another".to_owned())].into(),
        ..joining(id)
    };
    change(&store, vec![Change::Gateway(renewed.clone())]).await;
    let kept = EnrolledGateway { enrolled: at(0), seen: Some(at(3)), revoked: true, serves: serves(), ..renewed };
    assert_eq!(store.gateway(id).await.unwrap(), Some(kept.clone()));
    assert_eq!(store.gateways().await.unwrap(), [kept]);
    assert!(!holds(&store, vec![Condition::GatewayGood(id)]).await);
    assert!(!holds(&store, vec![used("k", 1), Condition::GatewayGood(id)]).await);
    assert!(!holds(&store, vec![Condition::GatewayGood(id), used("k", 1)]).await);
    assert!(holds(&store, vec![used("k", 1)]).await, "nothing was taken");
}

fn freeze(scope: FreezeScope) -> Freeze {
    let by = Actor { issuer: Issuer::new("https://humans.example"), subject: Subject::new("ann") };
    Freeze { id: FreezeId::fresh(), scope, reason: "why 'not'".to_owned(), by, at: at(40) }
}

async fn a_freeze_orders_what_it_covers_and_nothing_else(store: Arc<dyn Store>) {
    let live = opened(&store, WritState::Issued, 0, 60).await;
    let (intended, dying) =
        (opened(&store, WritState::Intended, 0, 60).await, opened(&store, WritState::Irrevocable, 0, 60).await);
    let closed = opened(&store, WritState::Closed, 0, 60).await;
    let revoke = Change::Revoke { writ: dying.id, due: at(90), attempts: 4 };
    change(&store, vec![close(&dying, at(5)), close(&closed, at(5)), revoke]).await;
    let elsewhere = Writ { target: TargetName::new("other").unwrap(), ..writ(live.gateway, WritState::Issued, 0, 60) };
    change(&store, vec![Change::Open { writ: elsewhere.clone(), client: Client::default() }]).await;
    let made = freeze(FreezeScope::Target { target: TargetName::new("main").unwrap() });
    change(&store, vec![Change::Freeze(made.clone())]).await;
    assert_eq!(store.freezes().await.unwrap(), std::slice::from_ref(&made));
    let words = "access is frozen: why 'not'".to_owned();
    assert_eq!(store.orders(live.gateway).await.unwrap(), [(live.session, words.clone())]);
    assert_eq!(store.orders(intended.gateway).await.unwrap(), [(intended.session, words)]);
    for over in [&dying, &closed] {
        assert_eq!(store.orders(over.gateway).await.unwrap(), []);
    }
    let due = store.due_revocations(at(40), 9).await.unwrap();
    let mut due: Vec<_> = due.iter().map(|due| (due.writ.id, due.attempts)).collect();
    due.sort();
    let mut expected = vec![(live.id, 0), (intended.id, 0), (dying.id, 4)];
    expected.sort();
    assert_eq!(due, expected);
    // An order that stands is not said again in other words.
    change(&store, vec![Change::Freeze(freeze(FreezeScope::All))]).await;
    assert_eq!(store.orders(live.gateway).await.unwrap().len(), 2);
    change(&store, vec![Change::Unfreeze(made.id)]).await;
    assert_eq!(store.orders(live.gateway).await.unwrap().len(), 2, "what was cut stays cut");
}

async fn a_freeze_refuses_what_it_covers_until_it_is_lifted(store: Arc<dyn Store>) {
    let clear = |issuer: &str, subject: &str, target: &str| {
        let target = TargetName::new(target).unwrap();
        vec![Condition::NotFrozen { issuer: Issuer::new(issuer), subject: Subject::new(subject), target }]
    };
    let subject = "job 'one'; \u{1f600}\",\"";
    let named = |issuer: Option<&str>| FreezeScope::Workload {
        issuer: issuer.map(Issuer::new),
        subject: Subject::new(subject),
    };
    let main = TargetName::new("main").unwrap();
    for (scope, one, others) in [
        (named(Some("a")), ("a", subject, "main"), vec![("b", subject, "main"), ("a", "job", "main")]),
        (named(None), ("b", subject, "other"), vec![("a", "job", "main")]),
        (FreezeScope::Target { target: main }, ("a", "x", "main"), vec![("a", "x", "other"), ("a", "main", "other")]),
        (FreezeScope::All, ("a", "x", "main"), vec![]),
    ] {
        assert!(holds(&store, clear(one.0, one.1, one.2)).await);
        let made = freeze(scope);
        assert!(!holds(&store, vec![Condition::Frozen(made.id)]).await);
        change(&store, vec![Change::Freeze(made.clone())]).await;
        assert!(holds(&store, vec![Condition::Frozen(made.id)]).await);
        assert!(!holds(&store, clear(one.0, one.1, one.2)).await, "{made:?}");
        for other in others {
            assert!(holds(&store, clear(other.0, other.1, other.2)).await, "{made:?} does not cover {other:?}");
        }
        change(&store, vec![Change::Unfreeze(made.id)]).await;
        assert!(holds(&store, clear(one.0, one.1, one.2)).await);
        assert!(!holds(&store, vec![Condition::Frozen(made.id)]).await);
    }
}

async fn a_turn_is_written_by_whoever_knew_the_last_word_of_it(store: Arc<dyn Store>) {
    let turn = |target: &str, version| TurnRecord {
        target: TargetName::new(target).unwrap(),
        version,
        user: Some("app_b".to_owned()),
        state: TurnState::Begun,
        begun: at(0),
        ended: None,
        claimed: Some(at(60)),
        turned: None,
        fingerprint: None,
        failures: 0,
        fault: None,
    };
    let write = async |turn: TurnRecord| {
        let conditions = vec![Condition::Rotation { target: turn.target.clone(), version: turn.version - 1 }];
        let request = Request { conditions, changes: vec![Change::Rotation(turn)], ..Request::default() };
        commit(&store, vec![request]).await.taken == [true]
    };
    assert_eq!(store.rotations().await.unwrap(), []);
    assert!(write(turn("b", 1)).await);
    assert!(!write(turn("b", 1)).await, "somebody else was first");
    assert!(!write(turn("a", 2)).await, "what is not there has no version");
    assert!(write(turn("b", 2)).await && write(turn("a", 1)).await);
    assert_eq!(store.rotations().await.unwrap(), [turn("a", 1), turn("b", 2)]);
}

async fn policy_numbers_only_grow(store: Arc<dyn Store>) {
    let mut numbers = Vec::new();
    for hash in ["a", "a", "b", "a", "a"] {
        numbers.push(store.policy_number(hash).await.unwrap());
    }
    assert_eq!(numbers, [1, 1, 2, 3, 3], "an older set that comes back is newer than the one before it");
}

async fn what_ended_is_forgotten_and_nothing_else(store: Arc<dyn Store>) {
    assert!(holds(&store, vec![used("k", 1)]).await);
    change(&store, vec![Change::JoinToken { digest: "d".to_owned(), expires: at(100), serves: serves() }]).await;
    store.prune(at(100)).await.unwrap();
    assert!(!holds(&store, vec![used("k", 1)]).await, "a use counts until its token can no longer be accepted");
    store.prune(after(at(100), 1)).await.unwrap();
    assert!(holds(&store, vec![used("k", 1)]).await);
    assert!(!holds(&store, vec![Condition::JoinToken { digest: "d".to_owned(), now: at(0) }]).await);
}

async fn everything_survives_opening_again(place: &impl Place) {
    let id = GatewayId::fresh();
    let one = {
        let store = place.open();
        let one = opened(&store, WritState::Issued, 0, 60).await;
        let order = Change::Order { session: one.session, gateway: one.gateway, reason: "why".to_owned() };
        let revoke = Change::Revoke { writ: one.id, due: at(0), attempts: 2 };
        let segment = Change::Segment { session: one.session, segment: segment(0) };
        change(&store, vec![order, revoke, segment, Change::Gateway(joining(id))]).await;
        change(&store, vec![Change::Freeze(freeze(FreezeScope::All))]).await;
        commit(&store, vec![entry("a"), entry("b")]).await;
        assert!(holds(&store, vec![used("k", 1)]).await);
        assert_eq!(store.policy_number("h").await.unwrap(), 1);
        one
    };
    let store = place.open();
    assert_eq!(store.writ(one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.session(one.session).await.unwrap().unwrap().segments, [segment(0)]);
    assert_eq!(store.orders(one.gateway).await.unwrap().len(), 1);
    assert_eq!(store.due_revocations(at(40), 9).await.unwrap()[0].attempts, 2);
    assert_eq!(store.freezes().await.unwrap().len(), 1);
    assert_eq!(store.entries(0, 9).await.unwrap(), [b"a".to_vec(), b"b".to_vec()]);
    assert_eq!(store.head().await.unwrap().size, 2);
    assert!(store.gateway(id).await.unwrap().is_some());
    assert!(!holds(&store, vec![used("k", 1)]).await);
    assert_eq!(store.policy_number("h").await.unwrap(), 1);
}
