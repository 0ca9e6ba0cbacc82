//! Every way to stop on the way: the user in use stays, and the next turn is the same one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use writ_core::credential::Secret;
use writ_core::provider::{Pending, Provider as _, ProviderFault};
use writ_provider_source::PasswordSetter;
use writ_provider_static::{RotationSettings, StaticProvider};

use crate::documented::FIRST;
use crate::place::{Database, Place, config, steps};

/// Where a setter breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Break {
    /// Nowhere.
    Never,
    /// The password is not set.
    NotSet,
    /// It is, and the answer is lost.
    SetUnheard,
    /// It is not tried.
    NotVerified,
}

/// A real setter that loses the server when it is told to.
#[derive(Debug)]
struct Breaking {
    inner: Arc<dyn PasswordSetter>,
    at: AtomicU8,
}

impl Breaking {
    fn new(inner: Arc<dyn PasswordSetter>) -> Arc<Self> {
        Arc::new(Self { inner, at: AtomicU8::new(Break::Never as u8) })
    }

    fn at(&self, at: Break) {
        self.at.store(at as u8, Ordering::SeqCst);
    }

    fn is_at(&self, at: Break) -> bool {
        self.at.load(Ordering::SeqCst) == at as u8
    }
}

fn lost<T>() -> Result<T, ProviderFault> {
    Err(ProviderFault::Unreachable("the server is gone".to_owned()))
}

impl PasswordSetter for Breaking {
    fn login(&self) -> &str {
        self.inner.login()
    }

    fn set<'a>(&'a self, user: &'a str, limit: Duration) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async move {
            if self.is_at(Break::NotSet) {
                return lost();
            }
            let set = self.inner.set(user, limit).await?;
            if self.is_at(Break::SetUnheard) { lost() } else { Ok(set) }
        })
    }

    fn verify<'a>(
        &'a self,
        user: &'a str,
        password: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move {
            if self.is_at(Break::NotVerified) { lost() } else { self.inner.verify(user, password, limit).await }
        })
    }
}

/// The user in use stays, and so does its password.
async fn assert_unharmed(database: &dyn Database, place: &Place) {
    assert_eq!(place.read(), ("app_a".to_owned(), FIRST.to_owned()));
    assert!(database.login("app_a", FIRST).await.is_some(), "whoever uses the secret gets in");
}

/// The same turn, begun anew, comes to its end.
async fn assert_mended(database: &dyn Database, place: &Place, provider: &StaticProvider) {
    let mut turn = place.begin(provider).await.unwrap();
    assert_eq!(turn.due(), "app_b");
    assert_eq!(steps(&mut turn).await, (3, None));
    let (user, password) = place.read();
    assert!(database.login(&user, &password).await.is_some());
}

/// The server, or the way to it, breaks at each step.
pub(crate) async fn at_the_server(database: &dyn Database) {
    for (at, taken) in [(Break::NotSet, 0), (Break::SetUnheard, 0), (Break::NotVerified, 1)] {
        let place = Place::new();
        let setter = Breaking::new(database.setter());
        let provider = place.provider(Arc::clone(&setter) as Arc<dyn PasswordSetter>);
        setter.at(at);
        let mut turn = place.begin(&provider).await.unwrap();
        let (reached, fault) = steps(&mut turn).await;
        assert_eq!((reached, fault), (taken, lost::<()>().err()), "{at:?}");
        let over = turn.step(crate::place::LIMIT).await.unwrap_err();
        assert!(over.detail().contains("the turn is over"), "{over:?}");
        drop(turn);
        assert_unharmed(database, &place).await;
        setter.at(Break::Never);
        assert_mended(database, &place, &provider).await;
    }
}

/// The place of the secret does not take it.
pub(crate) async fn at_the_place(database: &dyn Database) {
    let place = Place::new();
    let provider = place.provider(database.setter());
    // Somebody else changes it between reading and writing.
    let mut turn = place.begin(&provider).await.unwrap();
    place.write("app_a", "somebody-elses");
    let (taken, fault) = steps(&mut turn).await;
    assert_eq!(taken, 2);
    assert!(matches!(&fault, Some(ProviderFault::Refused(text)) if text.contains("by somebody else")), "{fault:?}");
    drop(turn);
    assert_eq!(place.read().1, "somebody-elses");
    place.write("app_a", FIRST);
    // It has become a link.
    let elsewhere = place.directory().join("elsewhere");
    std::fs::rename(place.file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.file()).unwrap();
    let mut turn = place.begin(&provider).await.unwrap();
    let (taken, fault) = steps(&mut turn).await;
    assert_eq!(taken, 2);
    assert!(matches!(&fault, Some(ProviderFault::Misconfigured(text)) if text.contains("is a link")), "{fault:?}");
    drop(turn);
    assert_unharmed(database, &place).await;
    std::fs::rename(&elsewhere, place.file()).unwrap();
    // Something that a crash left is in the way, and is taken away, as is a link that somebody put there.
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), place.directory().join("secret.writ-partial")).unwrap();
    assert_mended(database, &place, &provider).await;
    place.assert_tidy();
    assert_eq!(std::fs::read(outside.path()).unwrap(), b"", "a link is not followed");
}

/// A turn that nobody goes on with, as after a crash; and a broker that begins anew.
pub(crate) async fn cut_off(database: &dyn Database) {
    for taken in 1..=2 {
        let place = Place::new();
        let provider = place.provider(database.setter());
        let mut turn = place.begin(&provider).await.unwrap();
        for _ in 0..taken {
            turn.step(crate::place::LIMIT).await.unwrap();
        }
        drop(turn);
        drop(provider);
        assert_unharmed(database, &place).await;
        assert_mended(database, &place, &place.provider(database.setter())).await;
    }
}

/// A user that takes no turns: one that is not there, and one with more power than a program has.
pub(crate) async fn for_the_user(database: &dyn Database, powerful: &str) {
    let place = Place::new();
    for (user, words) in [("ghost", "is not there"), (powerful, "let users without them take turns")] {
        let provider = place.provider_for(database.setter(), ["app_a", user]);
        let mut turn = place.begin(&provider).await.unwrap();
        let (taken, fault) = steps(&mut turn).await;
        assert_eq!(taken, 0);
        let right = matches!(&fault, Some(ProviderFault::Misconfigured(text)) if text.contains(words));
        assert!(right && fault.as_ref().unwrap().detail().contains("static.md"), "{fault:?}");
    }
    assert_unharmed(database, &place).await;
    place.write("legacy", FIRST);
    let provider = place.provider(database.setter());
    let fault = place.begin(&provider).await.err().unwrap();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("takes no turns")), "{fault:?}");
    assert!(provider.probe(&place.target, crate::place::LIMIT).await.is_err(), "a probe says so too");
    std::fs::write(place.file(), "{\"username\":\"app_a\"}").unwrap();
    let fault = place.begin(&provider).await.err().unwrap();
    assert!(fault.detail().contains("has no field `password`"), "{fault:?}");
}

#[derive(Debug)]
struct Unasked;

impl PasswordSetter for Unasked {
    fn login(&self) -> &'static str {
        "writ_rotator"
    }

    fn set<'a>(&'a self, _: &'a str, _: Duration) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async { panic!("nobody asks") })
    }

    fn verify<'a>(&'a self, _: &'a str, _: &'a Secret, _: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { panic!("nobody asks") })
    }
}

#[test]
fn a_mistake_says_what_to_write() {
    let place = Place::new();
    let turns = |users: &[&str], hours: u64| RotationSettings {
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        every: Duration::from_hours(hours),
        setter: Arc::new(Unasked),
    };
    let both = ["app_a", "app_b"];
    for (users, hours, words) in [
        (&both[..1], 24, "names 1: write two"),
        (&["app_a", "app_b", "app_c"], 24, "names 3: write two"),
        (&["app_a", "app_a"], 24, "twice"),
        (&["app_a", ""], 24, "an empty name"),
        (&["app_a", "writ_rotator"], 24, "write a login of its own"),
        (&both, 0, "write `1h` to `366d`"),
        (&both, 24 * 367, "write `1h` to `366d`"),
    ] {
        let made = StaticProvider::new(&config(&place.file()), None, Some(turns(users, hours)));
        let fault = made.unwrap_err().to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let sound = || config(&place.file());
    let mut user = sound();
    user.user = Some("app_a".to_owned());
    let mut variable = sound();
    (variable.password_file, variable.password_env) = (None, Some("PASSWORD".to_owned()));
    let mut same = sound();
    (same.field, same.user_field) = (Some("x".to_owned()), Some("x".to_owned()));
    let mut half = sound();
    half.field = Some("password".to_owned());
    for (config, words) in [
        (user, "leave `user` out"),
        (variable, "keep it in a file or in one of the services"),
        (same, "write two fields"),
        (half, "no user"),
    ] {
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let unset = StaticProvider::new(&sound(), None, None).unwrap_err().to_string();
    assert!(unset.contains("nothing here changes passwords"), "{unset}");
}
