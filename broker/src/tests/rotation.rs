//! Turns: when they are made, what is written down of them, and what a crash or another broker changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use writ_core::credential::Fingerprint;
use writ_core::event::Event;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::rotation::{Reached, Rotation, Turn, TurnRecord, TurnState, TurnStep};
use writ_core::target::Target;
use writ_core::writ::Writ;

use super::world::{PERMIT, Place, TARGET, World, kinds, operator, until, world};
use crate::broker::Broker;
use crate::store::Store as _;
use crate::targets::{Served, Targets};

const EVERY: u32 = 30 * 86_400;
/// Every password that the fake makes begins so.
const CANARY: &str = "canary-of-a-turn-";

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    /// It fails and nothing changed.
    NotPersisted,
    /// It fails, and changed what it was to change.
    Persisted,
    /// It changes what it is to change, and then waits to be let go.
    Held,
    /// It panics.
    Panicking,
}

#[derive(Debug, Default)]
struct State {
    /// Users and their passwords, as the server knows them.
    users: BTreeMap<String, String>,
    /// The secret, as programs read it.
    secret: (String, String),
    goes: Option<(TurnStep, Going)>,
    made: u32,
    held: bool,
    /// For whoever tries the user in use.
    server_is_gone: bool,
}

/// A fake server with two users, and a fake place for the secret.
#[derive(Debug, Default)]
struct Turning {
    state: Mutex<State>,
    go: Notify,
    /// The version of the secret, where the place counts them.
    version: Mutex<Option<u64>>,
}

impl Turning {
    fn new() -> Arc<Self> {
        let turning = Self::default();
        {
            let mut state = turning.state.lock().unwrap();
            for user in ["app_a", "app_b"] {
                state.users.insert(user.to_owned(), format!("{CANARY}of-{user}"));
            }
            state.secret = ("app_a".to_owned(), format!("{CANARY}of-app_a"));
        }
        Arc::new(turning)
    }

    fn goes(&self, step: TurnStep, going: Going) {
        self.state.lock().unwrap().goes = Some((step, going));
    }

    /// Somebody else writes the secret.
    fn is_written(&self, user: &str, password: &str) {
        self.state.lock().unwrap().secret = (user.to_owned(), password.to_owned());
    }

    fn password(&self, user: &str) -> String {
        self.state.lock().unwrap().users[user].clone()
    }

    fn label(&self, usual: &str) -> Fingerprint {
        let version = self.version.lock().unwrap().map(|version| version.to_string());
        Fingerprint::of_source(&format!("memory@{}", version.as_deref().unwrap_or(usual)))
    }

    fn goes_well(&self) {
        self.state.lock().unwrap().goes = None;
    }

    /// The user in use, whose password must be good, and how many passwords were made.
    fn in_use(&self) -> (String, u32) {
        let state = self.state.lock().unwrap();
        assert_eq!(state.users.get(&state.secret.0), Some(&state.secret.1), "whoever reads the secret gets in");
        (state.secret.0.clone(), state.made)
    }

    async fn going(&self, step: TurnStep, change: impl FnOnce(&mut State)) -> Result<(), ProviderFault> {
        let going = {
            let mut state = self.state.lock().unwrap();
            let going = state.goes.filter(|(at, _)| *at == step).map(|(_, going)| going);
            if !matches!(going, Some(Going::NotPersisted | Going::Panicking)) {
                change(&mut state);
            }
            state.held = going == Some(Going::Held);
            going
        };
        match going {
            None => Ok(()),
            Some(Going::Held) => {
                self.go.notified().await;
                Ok(())
            }
            Some(Going::Panicking) => panic!("a bug"),
            Some(_) => Err(ProviderFault::Unreachable("the server is gone".to_owned())),
        }
    }
}

struct OneTurn<'a> {
    turning: &'a Turning,
    in_use: String,
    found: String,
    due: String,
    password: String,
    next: TurnStep,
}

impl Turn for OneTurn<'_> {
    fn in_use(&self) -> &str {
        &self.in_use
    }

    fn due(&self) -> &str {
        &self.due
    }

    fn found(&self) -> Fingerprint {
        self.turning.label("found")
    }

    fn try_in_use(&self, _: Duration) -> Pending<'_, Result<(), ProviderFault>> {
        Box::pin(async {
            let state = self.turning.state.lock().unwrap();
            if state.server_is_gone {
                return Err(ProviderFault::Unreachable("the server is gone".to_owned()));
            }
            let gets_in = state.users.get(&self.in_use) == Some(&self.found);
            let fault = || ProviderFault::Refused("the server does not let it in".to_owned());
            gets_in.then_some(()).ok_or_else(fault)
        })
    }

    fn step(&mut self, _: Duration) -> Pending<'_, Result<Reached, ProviderFault>> {
        Box::pin(async move {
            let (due, password) = (self.due.clone(), self.password.clone());
            match self.next {
                TurnStep::Set => {
                    let change = |state: &mut State| drop(state.users.insert(due, password));
                    self.turning.going(TurnStep::Set, change).await?;
                    self.next = TurnStep::Verify;
                    Ok(Reached::Set)
                }
                TurnStep::Verify => {
                    self.turning.going(TurnStep::Verify, |_| ()).await?;
                    self.next = TurnStep::Switch;
                    Ok(Reached::Verified)
                }
                TurnStep::Switch => {
                    self.turning.going(TurnStep::Switch, |state| state.secret = (due, password)).await?;
                    self.next = TurnStep::Read;
                    Ok(Reached::Switched(self.turning.label("written")))
                }
                TurnStep::Read => panic!("the turn is over"),
            }
        })
    }
}

impl Rotation for Turning {
    fn every(&self) -> Duration {
        Duration::from_secs(EVERY.into())
    }

    fn begin<'a>(&'a self, _: &'a Target, _: Duration) -> Pending<'a, Result<Box<dyn Turn + 'a>, ProviderFault>> {
        Box::pin(async move {
            self.going(TurnStep::Read, |_| ()).await?;
            let mut state = self.state.lock().unwrap();
            let (in_use, found) = state.secret.clone();
            let due = if in_use == "app_a" { "app_b" } else { "app_a" }.to_owned();
            state.made += 1;
            let password = format!("{CANARY}{}", state.made);
            Ok(Box::new(OneTurn { turning: self, in_use, found, due, password, next: TurnStep::Set })
                as Box<dyn Turn + 'a>)
        })
    }
}

impl Provider for Turning {
    fn describe(&self) -> Description {
        Description { kind: "static", long_lived: true, revocable: false, scoped: false }
    }

    fn mint<'a>(&'a self, _: &'a Target, _: Intended, _: Duration) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async { Err(ProviderFault::Refused("nobody asks here".to_owned())) })
    }

    fn revoke<'a>(&'a self, _: &'a Target, _: &'a Writ, _: Duration) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    fn probe<'a>(&'a self, _: &'a Target, _: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    fn sweep<'a>(&'a self, _: &'a Target, _: &'a [WritId], _: Duration) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }

    fn rotation(&self) -> Option<&dyn Rotation> {
        Some(self)
    }
}

/// The usual world, where `main` has a password that takes turns.
async fn turning_at(world: &World, turning: &Arc<Turning>) {
    let served = world.place.targets().find(TARGET).unwrap();
    let other = world.place.targets().find("other").unwrap();
    let provider: Arc<dyn Provider> = turning.clone();
    let targets: Targets =
        [Served::new(served.target.clone(), provider), Served::new(other.target.clone(), world.place.provider.clone())]
            .into_iter()
            .collect();
    world.broker.reload(&world.place.config(), targets, "turning".to_owned()).await.unwrap();
}

async fn turning() -> (World, Arc<Turning>) {
    let (world, turning) = (world().await, Turning::new());
    turning_at(&world, &turning).await;
    (world, turning)
}

/// Makes every turn that is due, as a broker that goes on.
async fn turn_due(broker: &Broker) {
    let (_on, stop) = watch::channel(false);
    broker.turn_due(&stop).await;
}

async fn last(world: &World) -> TurnRecord {
    let [last] = &world.store.rotations().await.unwrap()[..] else { panic!("one target has turns") };
    last.clone()
}

/// What the ledger says of turns: the user, the state, and the step and code of a fault.
async fn told(world: &World) -> Vec<(Option<String>, TurnState, Option<TurnStep>)> {
    let events = world.events().await;
    let turned = events.into_iter().filter_map(|event| match event {
        Event::CredentialTurned { user, state, fault, .. } => Some((user, state, fault.map(|fault| fault.step))),
        _ => None,
    });
    turned.collect()
}

fn whole(user: &str) -> Vec<(Option<String>, TurnState, Option<TurnStep>)> {
    use TurnState::{Begun, Ended, Set, Switched, Verified};
    [Begun, Set, Verified, Switched, Ended].map(|state| (Some(user.to_owned()), state, None)).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_made_when_it_is_due_and_each_state_is_in_the_ledger() {
    let (world, turning) = turning().await;
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use(), ("app_b".to_owned(), 1));
    assert_eq!(told(&world).await, whole("app_b"));
    let turned = last(&world).await;
    assert_eq!(turned.fingerprint.unwrap().as_str(), "static:memory@written");
    turn_due(&world.broker).await;
    world.place.clock.step(EVERY - 1);
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().1, 1, "it is not due");
    let facts = world.broker.targets().await.unwrap();
    let facts = facts.iter().find(|target| target.name.as_str() == TARGET).unwrap().rotation.clone().unwrap();
    assert_eq!(facts.due, turned.turned.unwrap() + Duration::from_secs(EVERY.into()));
    world.place.clock.step(1);
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use(), ("app_a".to_owned(), 2));
    assert_eq!(told(&world).await, [whole("app_b"), whole("app_a")].concat());
    let written = format!("{:?} {:?} {facts:?}", world.events().await, last(&world).await);
    assert!(!written.contains(CANARY));
    let place = world.stop().await;
    for name in ["writ.db", "writ.db-wal"] {
        let bytes = std::fs::read(place.path(name)).unwrap_or_default();
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_written_down_and_the_turn_is_begun_anew_after_growing_waits() {
    for step in [TurnStep::Read, TurnStep::Set, TurnStep::Verify, TurnStep::Switch] {
        let (world, turning) = turning().await;
        turning.goes(step, Going::NotPersisted);
        for (failures, wait) in (1..).zip([60, 120, 240, 480, 960, 1920, 3600, 3600]) {
            turn_due(&world.broker).await;
            let failed = last(&world).await;
            let fault = failed.fault.unwrap();
            assert_eq!((failed.failures, fault.step, fault.code.as_str()), (failures, step, "provider.unreachable"));
            assert_eq!(turning.in_use().0, "app_a", "{step:?}");
            let made = turning.in_use().1;
            world.place.clock.step(wait - 1);
            turn_due(&world.broker).await;
            assert_eq!(turning.in_use().1, made, "it waits");
            world.place.clock.step(1);
        }
        let user = (step != TurnStep::Read).then(|| "app_b".to_owned());
        assert_eq!(told(&world).await.last(), Some(&(user, TurnState::Failed, Some(step))));
        turning.goes_well();
        turn_due(&world.broker).await;
        assert_eq!(turning.in_use().0, "app_b");
        assert_eq!((last(&world).await.failures, last(&world).await.fault), (0, None));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_panics_has_failed_and_takes_nothing_with_it() {
    let (world, turning) = turning().await;
    for (step, wait) in
        [TurnStep::Read, TurnStep::Set, TurnStep::Verify, TurnStep::Switch].into_iter().zip([60, 120, 240, 480])
    {
        turning.goes(step, Going::Panicking);
        turn_due(&world.broker).await;
        assert_eq!(told(&world).await.last().unwrap().2, Some(step));
        assert_eq!(turning.in_use().0, "app_a");
        world.place.clock.step(wait);
    }
    turning.goes_well();
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().0, "app_b");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_written_unheard_is_found_and_not_turned_again() {
    let (world, turning) = turning().await;
    turning.goes(TurnStep::Switch, Going::Persisted);
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().0, "app_b");
    assert_eq!(told(&world).await.last().unwrap().1, TurnState::Failed);
    // Even where it cannot be read at first.
    turning.goes(TurnStep::Read, Going::NotPersisted);
    world.place.clock.step(60);
    turn_due(&world.broker).await;
    turning.goes_well();
    world.place.clock.step(120);
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().0, "app_b", "its user's turn has just been");
    let told = told(&world).await;
    let end = [TurnState::Switched, TurnState::Ended].map(|state| (Some("app_b".to_owned()), state, None));
    assert_eq!(told[told.len() - 2..], end);
    assert_eq!(last(&world).await.fingerprint.unwrap().as_str(), "static:memory@found");
    world.stop().await;
}

/// Dies while a step is under way that has taken effect.
async fn died_at(step: TurnStep) -> (Place, Arc<Turning>) {
    let (world, turning) = turning().await;
    turning.goes(step, Going::Held);
    let broker = Arc::clone(&world.broker);
    let running = tokio::spawn(async move { turn_due(&broker).await });
    until("the step is under way", async || turning.state.lock().unwrap().held).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    turning.goes_well();
    (world.stop().await, turning)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_cut_off_is_begun_anew_or_told_late() {
    for (step, again) in [(TurnStep::Set, true), (TurnStep::Verify, true), (TurnStep::Switch, false)] {
        let (place, turning) = died_at(step).await;
        let world = place.start().await;
        turning_at(&world, &turning).await;
        let made = turning.in_use().1;
        turn_due(&world.broker).await;
        assert_eq!(turning.in_use().1, made, "somebody else may be about it still");
        // Twice the provider's time of these tests, and half a minute.
        world.place.clock.step(2 + 30);
        turn_due(&world.broker).await;
        assert_eq!(turning.in_use().0, "app_b", "{step:?}");
        let told = told(&world).await;
        assert_eq!(told.last().unwrap(), &(Some("app_b".to_owned()), TurnState::Ended, None));
        let begun = told.iter().filter(|(_, state, _)| *state == TurnState::Begun).count();
        assert_eq!(begun, if again { 2 } else { 1 }, "{step:?}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broker_turns_at_a_time_and_whoever_is_overtaken_goes_no_further() {
    let (world, turning) = turning().await;
    turning.goes(TurnStep::Set, Going::Held);
    let broker = Arc::clone(&world.broker);
    let slow = tokio::spawn(async move { broker.rotate_target(TARGET, "slow", operator()).await });
    until("the step is under way", async || turning.state.lock().unwrap().held).await;
    let made = turning.in_use().1;
    turn_due(&world.broker).await;
    assert_eq!(world.broker.rotate_target(TARGET, "now", operator()).await.unwrap_err().status, 409);
    assert_eq!(turning.in_use().1, made, "the other's turn is left to it");
    // It was not heard of for too long.
    turning.goes_well();
    world.place.clock.step(2 + 30);
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().0, "app_b");
    turning.go.notify_one();
    let refused = slow.await.unwrap().unwrap_err();
    assert!([409, 502].contains(&refused.status), "{refused:?}");
    assert_eq!(turning.in_use().0, "app_b");
    let states: Vec<_> = told(&world).await.into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(states.iter().filter(|state| **state == TurnState::Ended).count(), 1, "{states:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_it_changed_now_and_the_ledger_says_who_and_why() {
    let (world, turning) = turning().await;
    let facts = world.broker.rotate_target(TARGET, "it leaked", operator()).await.unwrap();
    assert_eq!(facts.last.unwrap().user.as_deref(), Some("app_b"));
    // After a leak the former user's password goes too.
    world.broker.rotate_target(TARGET, "it leaked", operator()).await.unwrap();
    assert_eq!(turning.in_use(), ("app_a".to_owned(), 2));
    let events = world.events().await;
    let ordered = events.iter().filter_map(|event| match event {
        Event::CredentialTurned { state, order: Some(order), .. } => Some((*state, order.reason.as_str())),
        _ => None,
    });
    assert_eq!(ordered.collect::<Vec<_>>(), [(TurnState::Begun, "it leaked"), (TurnState::Begun, "it leaked")]);
    for (target, reason, status) in
        [(TARGET, "", 400), (TARGET, "a\nb", 400), ("absent", "x", 404), ("other", "x", 409)]
    {
        assert_eq!(world.broker.rotate_target(target, reason, operator()).await.unwrap_err().status, status);
    }
    turning.goes(TurnStep::Verify, Going::NotPersisted);
    let refused = world.broker.rotate_target(TARGET, "again", operator()).await.unwrap_err();
    let words = refused.fault.public.to_string();
    assert!(words.contains("stopped while trying the password") && words.contains("the server is gone"), "{words}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_down_is_not_done() {
    let (world, turning) = turning().await;
    world.store.all(true);
    assert_eq!(world.broker.rotate_target(TARGET, "now", operator()).await.unwrap_err().status, 503);
    turn_due(&world.broker).await;
    let untouched = format!("{CANARY}of-app_b");
    assert_eq!(turning.state.lock().unwrap().users["app_b"], untouched, "nothing was set");
    world.store.all(false);
    // The clock was set.
    let before = turning.in_use();
    world.place.clock.set_wall(3600);
    turn_due(&world.broker).await;
    assert_eq!(world.broker.rotate_target(TARGET, "now", operator()).await.unwrap_err().fault.code, "clock.stepped");
    assert_eq!(turning.in_use(), before);
    world.place.clock.set_wall(-3600);
    world.stop().await;
}

#[tokio::test]
async fn it_is_looked_for_from_time_to_time() {
    let (world, turning) = turning().await;
    assert_eq!(turning.in_use().1, 0, "not at once");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    until("the turn that is due is made", async || turning.in_use().0 == "app_b").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_sessions_could_outlive_are_refused() {
    let world = Place::new(PERMIT).start().await;
    let mut config = world.place.config();
    config.max_ttl = crate::duration::Span::seconds(EVERY.into());
    let served = world.place.targets().find(TARGET).unwrap();
    let targets: Targets = [Served::new(served.target.clone(), Turning::new())].into_iter().collect();
    let fault = world.broker.reload(&config, targets, "hasty".to_owned()).await.unwrap_err().to_string();
    assert!(fault.contains("`main`") && fault.contains("write a longer `every`"), "{fault}");
    assert!(!kinds(&world.events().await).contains(&"config_reloaded"));
    world.stop().await;
}

/// A turn came to `verified`, and the answer of its last step is not known.
async fn unheard(going: Going) -> (World, Arc<Turning>) {
    let (world, turning) = turning().await;
    turning.goes(TurnStep::Switch, going);
    turn_due(&world.broker).await;
    assert_eq!(
        (last(&world).await.state, last(&world).await.fault.unwrap().step),
        (TurnState::Verified, TurnStep::Switch)
    );
    turning.goes_well();
    world.place.clock.step(60);
    (world, turning)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_not_over_because_somebody_else_wrote_its_user() {
    let (world, turning) = unheard(Going::NotPersisted).await;
    turning.is_written("app_b", "of-somebody-else");
    turn_due(&world.broker).await;
    let (in_use, _) = turning.in_use();
    assert_eq!(in_use, "app_a", "who gets in has the place of who does not");
    let told = told(&world).await;
    let ended = told.iter().filter(|(_, state, _)| *state == TurnState::Ended).count();
    assert_eq!(ended, 1, "{told:?}");
    let shut_out = world.events().await.into_iter().any(|event| {
        let Event::CredentialTurned { state: TurnState::Failed, fault: Some(fault), .. } = event else { return false };
        fault.step == TurnStep::Read && fault.detail.contains("the user in use, `app_b`, does not get in")
    });
    assert!(shut_out, "it is written down");
    assert_eq!((last(&world).await.failures, last(&world).await.fault), (0, None));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_lets_nobody_in_is_written_down_and_mended() {
    let (world, turning) = turning().await;
    turning.is_written("app_a", "wrong");
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().0, "app_b");
    let mut expected = vec![(None, TurnState::Failed, Some(TurnStep::Read))];
    expected.extend(whole("app_b"));
    assert_eq!(told(&world).await, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_set_while_nobody_knows_whether_the_user_in_use_gets_in() {
    let (world, turning) = unheard(Going::Persisted).await;
    turning.state.lock().unwrap().server_is_gone = true;
    let before = turning.password("app_a");
    turn_due(&world.broker).await;
    let failed = last(&world).await;
    assert_eq!((failed.state, failed.fault.unwrap().code.as_str()), (TurnState::Verified, "provider.unreachable"));
    turning.state.lock().unwrap().server_is_gone = false;
    world.place.clock.step(120);
    turn_due(&world.broker).await;
    assert_eq!((turning.in_use().0.as_str(), last(&world).await.state), ("app_b", TurnState::Ended));
    assert_eq!(turning.password("app_a"), before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_older_than_what_was_put_there_sets_nothing() {
    // With numbers it is known; without, it may be so for ten minutes.
    for (counted, later) in [(true, 700), (false, 599)] {
        let (world, turning) = turning().await;
        *turning.version.lock().unwrap() = counted.then_some(2);
        let old = turning.password("app_a");
        turn_due(&world.broker).await;
        let new = turning.password("app_b");
        world.place.clock.step(later);
        *turning.version.lock().unwrap() = counted.then_some(1);
        turning.is_written("app_a", &old);
        let refused = world.broker.rotate_target(TARGET, "it leaked", operator()).await.unwrap_err();
        let words = refused.fault.public.to_string();
        assert!(words.contains("names `app_a`, and may be older"), "{words}");
        assert_eq!(turning.password("app_b"), new, "the user in use keeps its password");
        assert_eq!(last(&world).await.state, TurnState::Ended);
        // What somebody puts there on purpose is taken up.
        world.place.clock.step(60);
        *turning.version.lock().unwrap() = counted.then_some(3);
        turn_due(&world.broker).await;
        assert_ne!(turning.password("app_b"), new);
        assert_eq!(turning.in_use().0, "app_b");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stands_with_its_own_turn_and_not_with_one_told_late() {
    let (world, turning) = unheard(Going::Persisted).await;
    world.broker.rotate_target(TARGET, "it leaked", operator()).await.unwrap();
    assert_eq!(turning.in_use().0, "app_a");
    let events = world.events().await;
    let ordered = events.iter().filter_map(|event| match event {
        Event::CredentialTurned { user, state, order: Some(_), .. } => Some((user.as_deref(), *state)),
        _ => None,
    });
    assert_eq!(ordered.collect::<Vec<_>>(), [(Some("app_a"), TurnState::Begun)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_begins_no_turn() {
    let (world, turning) = turning().await;
    let (stopping, stop) = watch::channel(true);
    world.broker.turn_due(&stop).await;
    assert_eq!(turning.in_use(), ("app_a".to_owned(), 0));
    stopping.send_replace(false);
    world.broker.turn_due(&stop).await;
    assert_eq!(turning.in_use().0, "app_b");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_older_sets_nothing_after_a_turn_that_stopped_either() {
    let (world, turning) = turning().await;
    *turning.version.lock().unwrap() = Some(2);
    let old = turning.password("app_a");
    turn_due(&world.broker).await;
    let (in_use, new) = (turning.in_use().0, turning.password("app_b"));
    assert_eq!(in_use, "app_b");
    world.place.clock.step(EVERY);
    turning.goes(TurnStep::Set, Going::NotPersisted);
    turn_due(&world.broker).await;
    assert_eq!(last(&world).await.user.as_deref(), Some("app_a"));
    turning.goes_well();
    world.place.clock.step(60);
    *turning.version.lock().unwrap() = Some(1);
    turning.is_written("app_a", &old);
    turn_due(&world.broker).await;
    assert_eq!(turning.password("app_b"), new, "the user in use keeps its password");
    assert_eq!(last(&world).await.fault.unwrap().step, TurnStep::Read);
    *turning.version.lock().unwrap() = Some(2);
    turning.is_written("app_b", &new);
    world.place.clock.step(120);
    turn_due(&world.broker).await;
    assert_eq!(turning.in_use().0, "app_a");
    world.stop().await;
}
