//! Tests of the broker's keys.

use std::os::unix::fs::PermissionsExt as _;

use writ_core::id::SessionId;

use super::rotating::{Form, Fresh, Purpose, SESSION_TOKEN};
use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

#[test]
fn keys_are_made_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = Keys::load_or_create(directory.path(), now()).unwrap();
    assert_eq!(first.introduced.len(), 6);
    let again = Keys::load_or_create(directory.path(), now()).unwrap();
    assert_eq!(again.introduced, first.introduced, "the ledger does not know them");
    first.introduced.iter().for_each(|key| key.written().unwrap());
    let second = Keys::load_or_create(directory.path(), now()).unwrap();
    assert!(second.introduced.is_empty());
    assert_eq!(first.bundle.public(), second.bundle.public());
    assert_eq!(first.mask.expose(), second.mask.expose(), "tokens stay the same over a restart");
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
    Keys::load_or_create(directory.path(), now()).unwrap();
    let path = directory.path().join("ledger.key.new");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let fault = Keys::load_or_create(directory.path(), now()).unwrap_err();
    assert!(fault.to_string().ends_with("can be read by others (mode 640): set it to 0600"), "{fault}");
}

#[test]
fn a_damaged_key_is_refused_and_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::load_or_create(directory.path(), now()).unwrap();
    keys.introduced.iter().for_each(|key| key.written().unwrap());
    for name in ["ledger.key", "session-token-1800000000.key", "ca.key", "recording.key", "bundle.key", "mask.key"] {
        let path = directory.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(Keys::load_or_create(directory.path(), now()), Err(KeyFault::Malformed { .. })), "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    Keys::load_or_create(directory.path(), now()).unwrap();
}

#[test]
fn a_data_key_unwraps_for_its_session_alone() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::load_or_create(directory.path(), now()).unwrap();
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
    let keys = Keys::load_or_create(directory.path(), now()).unwrap();
    let shown = format!("{:?} {:?} {:?}", keys.ledger, keys.bundle, keys.recording);
    let seed = std::fs::read(directory.path().join("ledger.key.new")).unwrap();
    assert!(!shown.contains(&files::hex(&seed)), "{shown}");
    let public = files::hex(keys.ledger.public());
    assert!(shown.starts_with(&format!("FileSigner({public}) BundleKey(..) FileRecordingKey(")), "{shown}");
}

#[test]
fn session_keys_overlap_and_go_with_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
    let (hour, minute) = (std::time::Duration::from_secs(3600), std::time::Duration::from_secs(60));
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    // A key of a time when keys had no date: it is due at once.
    let undated = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_der();
    files::create(&directory.path().join("session-token.key"), &undated).unwrap();
    let open = || RotatingKeys::load_or_create(directory.path(), SESSION_TOKEN, at(0), &mut Vec::new()).unwrap();
    let mut keys = open();
    assert!(keys.signing() == undated && keys.is_due(at(0), hour));
    keys.rotate(Fresh::make(SESSION_TOKEN, at(0)).unwrap()).unwrap();
    assert!(!keys.is_due(at(3599), hour) && keys.is_due(at(3600), hour));
    assert_eq!((keys.forget(at(59), minute).unwrap(), keys.former().count(), files()), (false, 1, 2));
    keys.rotate(Fresh::make(SESSION_TOKEN, at(30)).unwrap()).unwrap();
    let mut again = open();
    assert!(again.signing() == keys.signing() && again.former().eq(keys.former()), "a restart changes nothing");
    assert_eq!((again.forget(at(60), minute).unwrap(), again.former().count(), files()), (true, 1, 2));
    assert_eq!((again.forget(at(90), minute).unwrap(), again.former().count(), files()), (true, 0, 1));
    assert!(again.signing() == keys.signing() && !again.forget(at(9999), minute).unwrap());
    assert_eq!(open().signing(), keys.signing());
}

#[test]
fn keys_that_change_on_a_schedule_are_introduced_until_they_are_written() {
    for form in [Form::P256, Form::Rsa2048] {
        let directory = tempfile::tempdir().unwrap();
        let purpose = Purpose { name: "issuer", form };
        let open = || {
            let mut introduced = Vec::new();
            let keys = RotatingKeys::load_or_create(directory.path(), purpose, now(), &mut introduced).unwrap();
            (keys, introduced)
        };
        let ((mut first, made), (second, again)) = (open(), open());
        assert!(made.len() == 1 && made == again && first.signing() == second.signing());
        again[0].written().unwrap();
        assert_eq!(open().1, []);
        assert!(again[0].written().is_err(), "it is done once");
        first.rotate(Fresh::make(purpose, Timestamp::MAX).unwrap()).unwrap();
        assert_eq!(open().1, [], "the ledger has what a turn makes before there is a file");
    }
}
