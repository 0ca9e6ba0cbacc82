//! Tests of the vocabulary.

use crate::credential::Secret;
use crate::event::{Entry, Event};
use crate::id::{SessionId, WritId};
use crate::target::TargetName;
use crate::time::Timestamp;

#[test]
fn identifiers_survive_their_text_form() {
    let id = WritId::fresh();
    assert_eq!(id.to_string().parse::<WritId>(), Ok(id));
    assert_eq!(WritId::from_bytes(id.to_bytes()), id);
    assert_eq!(id.to_string().len(), 31);
}

#[test]
fn an_identifier_of_another_kind_is_refused() {
    let session = SessionId::fresh().to_string();
    assert!(session.parse::<WritId>().is_err());
    assert!("writ-".parse::<WritId>().is_err());
    assert!("writ-zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<WritId>().is_err());
    assert!("writ-0000000000000000000000000i".parse::<WritId>().is_err());
}

#[test]
fn target_names_are_plain() {
    for good in ["payments", "p", "eu-1.payments_db"] {
        assert!(TargetName::new(good).is_ok(), "{good}");
    }
    for bad in ["", "-x", "Payments", "a/b", "a b", "a\u{0}", "ä", &"a".repeat(64)] {
        assert!(TargetName::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_secret_shows_nothing() {
    let secret = Secret::new(b"hunter2".to_vec());
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    assert_eq!(secret, Secret::new(b"hunter2".to_vec()));
    assert_ne!(secret, Secret::new(b"hunter3".to_vec()));
}

#[test]
fn entries_have_one_form() {
    let event = Event::BrokerStarted { version: "0.1.0".into(), config_hash: "00".into() };
    let entry = Entry::new(Timestamp::UNIX_EPOCH, event);
    let bytes = entry.to_canonical().unwrap();
    assert_eq!(
        String::from_utf8(bytes.clone()).unwrap(),
        r#"{"at":"1970-01-01T00:00:00Z","event":{"config_hash":"00","type":"broker_started","version":"0.1.0"},"v":1}"#
    );
    assert_eq!(Entry::from_canonical(&bytes).unwrap(), entry);
    let mut spaced = bytes;
    spaced.push(b' ');
    assert!(Entry::from_canonical(&spaced).is_err());
}
