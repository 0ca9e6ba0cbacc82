//! Tests of sealing.

use super::*;

fn purpose(target: &TargetName) -> Purpose<'_> {
    Purpose { writ: WritId::fresh(), session: SessionId::fresh(), gateway: GatewayId::fresh(), target }
}

fn sealed(public: &SealingKey, purpose: Purpose<'_>) -> (Sealed, Sealed) {
    let sealed = public.seal(purpose, b"\0\x04rolesecret", &[7; 32], None).unwrap();
    (sealed.credential, sealed.data_key)
}

fn opens(private: &OpeningKey, (credential, data_key): (&Sealed, &Sealed), purpose: Purpose<'_>) -> bool {
    private.session(SealedSession { credential, data_key, mask_key: None }, purpose).is_ok()
}

#[test]
fn what_is_sealed_opens_for_its_purpose_alone() {
    let (private, public) = OpeningKey::generate().unwrap();
    let target = TargetName::new("payments").unwrap();
    let right = purpose(&target);
    let (credential, data_key) = sealed(&public, right);
    let opened =
        private.session(SealedSession { credential: &credential, data_key: &data_key, mask_key: None }, right).unwrap();
    assert_eq!((opened.principal.as_str(), opened.secret.expose()), ("role", b"secret".as_slice()));
    assert_eq!(*opened.data_key, [7; 32]);
    assert_eq!(format!("{opened:?}"), "OpenedSession { principal: \"role\", .. }");
    assert_eq!(*private.data_key(&data_key, right).unwrap(), [7; 32], "without the credential");
    let (other, _) = OpeningKey::generate().unwrap();
    for (key, purpose) in [(&private, purpose(&target)), (&other, right)] {
        assert_eq!(key.data_key(&data_key, purpose), Err(NotOpened));
        assert!(!opens(key, (&credential, &data_key), purpose));
    }
}

#[test]
fn nothing_opens_in_the_place_of_something_else() {
    let (private, public) = OpeningKey::generate().unwrap();
    let target = TargetName::new("payments").unwrap();
    let right = purpose(&target);
    let (credential, data_key) = sealed(&public, right);
    let (second, key_of_second) = sealed(&public, right);
    assert_eq!(private.data_key(&credential, right), Err(NotOpened));
    for pair in
        [(&data_key, &credential), (&credential, &credential), (&credential, &key_of_second), (&second, &data_key)]
    {
        assert!(!opens(&private, pair, right));
    }
    let changed = |sealed: &Sealed| {
        let mut sealed = sealed.clone();
        sealed.ciphertext.0[0] ^= 1;
        sealed
    };
    assert!(!opens(&private, (&changed(&credential), &data_key), right));
    assert!(!opens(&private, (&credential, &changed(&data_key)), right));
    assert!(opens(&private, (&credential, &data_key), right));
}

#[test]
fn the_private_key_survives_its_bytes_and_shows_nothing() {
    let (private, public) = OpeningKey::generate().unwrap();
    let target = TargetName::new("payments").unwrap();
    let right = purpose(&target);
    let again = OpeningKey::from_bytes(private.expose().to_vec());
    let (_, data_key) = sealed(&public, right);
    assert_eq!(*again.data_key(&data_key, right).unwrap(), [7; 32]);
    assert_eq!(format!("{again:?}"), "OpeningKey(..)");
}

#[test]
fn a_mask_key_opens_in_its_place_alone() {
    let (private, public) = OpeningKey::generate().unwrap();
    let target = TargetName::new("payments").unwrap();
    let right = purpose(&target);
    let sealed = public.seal(right, b"\0\x04rolesecret", &[7; 32], Some(&[9; 32])).unwrap();
    let open = |mask_key| {
        let session = SealedSession { credential: &sealed.credential, data_key: &sealed.data_key, mask_key };
        private.session(session, right).map(|opened| opened.mask_key.map(|key| *key))
    };
    assert_eq!(open(sealed.mask_key.as_ref()), Ok(Some([9; 32])));
    assert_eq!(open(None), Ok(None));
    assert_eq!(open(Some(&sealed.data_key)), Err(NotOpened));
    let other = public.seal(right, b"\0\x04rolesecret", &[7; 32], Some(&[9; 32])).unwrap();
    assert_eq!(open(other.mask_key.as_ref()), Err(NotOpened), "of another session");
}
