//! Tests of sealing.

use super::*;

fn purpose(target: &TargetName) -> Purpose<'_> {
    Purpose { writ: WritId::fresh(), session: SessionId::fresh(), gateway: GatewayId::fresh(), target }
}

#[test]
fn what_is_sealed_opens_for_its_purpose_alone() {
    let (private, public) = OpeningKey::generate().unwrap();
    let target = TargetName::new("payments").unwrap();
    let right = purpose(&target);
    let sealed = public.seal_data_key(&[7; 32], right).unwrap();
    assert_eq!(*private.data_key(&sealed, right).unwrap(), [7; 32]);
    assert_eq!(private.data_key(&sealed, purpose(&target)), Err(NotOpened));
    assert_eq!(private.credential(&sealed, right), Err(NotOpened));
    let (other, _) = OpeningKey::generate().unwrap();
    assert_eq!(other.data_key(&sealed, right), Err(NotOpened));
}

#[test]
fn the_private_key_survives_its_bytes_and_shows_nothing() {
    let (private, public) = OpeningKey::generate().unwrap();
    let target = TargetName::new("payments").unwrap();
    let right = purpose(&target);
    let again = OpeningKey::from_bytes(private.expose().to_vec());
    let sealed = public.seal_data_key(&[9; 32], right).unwrap();
    assert_eq!(*again.data_key(&sealed, right).unwrap(), [9; 32]);
    assert_eq!(format!("{again:?}"), "OpeningKey(..)");
}
