use proptest::prelude::*;

use super::{LengtheningMask, RULE};
use crate::{Identity, Mask as _, Masked, What};

fn row(values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        body.extend(value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap()).to_be_bytes());
        body.extend(value.iter().flatten());
    }
    let mut frame = vec![b'D'];
    frame.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

fn twice(value: &Option<Vec<u8>>) -> Option<Vec<u8>> {
    value.as_ref().map(|value| value.repeat(2))
}

#[test]
fn identity_writes_nothing() {
    let mut out = Vec::new();
    let frame = row(&[Some(b"a".to_vec())]);
    assert_eq!(Identity.frames(What::Rows, &frame, &mut out).unwrap(), Masked::Unchanged);
    assert_eq!(Identity.part(What::Copy, &frame, true, &mut out).unwrap(), Masked::Unchanged);
    assert!(out.is_empty());
}

#[test]
fn null_stays_null_and_empty_stays_empty() {
    let (input, mut out) = (row(&[None, Some(vec![]), Some(b"NULL".to_vec())]), Vec::new());
    let masked = LengtheningMask.frames(What::Rows, &input, &mut out).unwrap();
    assert_eq!(out, row(&[None, Some(vec![]), Some(b"NULLNULL".to_vec())]));
    let Masked::Changed { marks } = masked else { panic!("unchanged") };
    assert_eq!((marks[0].rule.as_str(), marks[0].count), (RULE, 2));
}

#[test]
fn what_is_no_row_is_refused_and_nothing_of_it_goes_on() {
    let mut input = row(&[Some(b"a".to_vec())]);
    input.extend(b"Z\0\0\0\x05I");
    let mut out = b"before".to_vec();
    let fault = LengtheningMask.frames(What::Rows, &input, &mut out).unwrap_err();
    assert_eq!((fault.code, out.as_slice()), ("mask.unreadable", b"before".as_slice()));
}

proptest! {
    #[test]
    fn every_row_is_doubled(rows in proptest::collection::vec(
        proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)), 0..8), 0..6)) {
        let input: Vec<u8> = rows.iter().flat_map(|values| row(values)).collect();
        let expected: Vec<u8> =
            rows.iter().flat_map(|values| row(&values.iter().map(twice).collect::<Vec<_>>())).collect();
        let mut out = Vec::new();
        LengtheningMask.frames(What::Rows, &input, &mut out).unwrap();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn any_input_is_masked_or_refused(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut out = Vec::new();
        if LengtheningMask.frames(What::Rows, &input, &mut out).is_err() {
            prop_assert!(out.is_empty());
        }
    }
}
