//! Tests of the broker's keys.

use std::os::unix::fs::PermissionsExt as _;

use writ_core::id::SessionId;

use super::*;

#[test]
fn keys_are_made_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = Keys::load_or_create(directory.path()).unwrap();
    assert_eq!(first.introduced.len(), 5);
    let second = Keys::load_or_create(directory.path()).unwrap();
    assert!(second.introduced.is_empty());
    assert_eq!(first.bundle.public(), second.bundle.public());
    assert_eq!(first.ca.pem(), second.ca.pem());
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert!(entry.file_name() == "ca.pem" || mode == 0o600, "{:?} {mode:o}", entry.file_name());
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    Keys::load_or_create(directory.path()).unwrap();
    let path = directory.path().join("ledger.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let fault = Keys::load_or_create(directory.path()).unwrap_err();
    assert!(fault.to_string().ends_with("can be read by others (mode 640): set it to 0600"), "{fault}");
}

#[test]
fn a_damaged_key_is_refused_and_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    Keys::load_or_create(directory.path()).unwrap();
    for name in ["ledger.key", "session-token.key", "ca.key", "recording.key", "bundle.key"] {
        let path = directory.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(Keys::load_or_create(directory.path()), Err(KeyFault::Malformed { .. })), "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    Keys::load_or_create(directory.path()).unwrap();
}

#[test]
fn a_data_key_unwraps_for_its_session_alone() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::load_or_create(directory.path()).unwrap();
    let session = SessionId::fresh();
    let wrapped = keys.recording.wrap(session, &[3; 32]).unwrap();
    assert_eq!(*keys.recording.unwrap_key(session, &wrapped).unwrap(), [3; 32]);
    assert!(keys.recording.unwrap_key(SessionId::fresh(), &wrapped).is_err());
    for place in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[place] ^= 1;
        assert!(keys.recording.unwrap_key(session, &changed).is_err(), "byte {place}");
    }
}

#[test]
fn no_key_shows_itself() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::load_or_create(directory.path()).unwrap();
    let shown = format!("{:?} {:?} {:?}", keys.ledger, keys.bundle, keys.recording);
    assert!(!shown.contains(&files::hex(keys.ledger.expose())), "{shown}");
    assert!(shown.starts_with("Seed(..) BundleKey(..) FileRecordingKey("), "{shown}");
}
