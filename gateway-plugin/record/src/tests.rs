//! What the crate's tests share, and the entries' own tests.

use std::time::Duration;

use proptest::prelude::*;
use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::grant::RecordLevel;
use writ_core::id::{SessionId, WritId};
use writ_core::mask::MaskMark;
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::DataKey;
use crate::entry::{
    self, CommandRecord, Decision, Ending, Entry, Flow, Format, Kind, OutcomeRecord, OwnedText, Parameter, Text,
};
use crate::spool::{AppendError, HEADER_BYTES, Header, SessionMeta, SessionReader, SessionWriter};
use crate::timeline::{Shown, Step, Timeline};

pub(crate) fn key() -> DataKey {
    DataKey::new(Zeroizing::new([7; 32]))
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn meta() -> SessionMeta {
    SessionMeta {
        session: SessionId::from_bytes([1; 16]),
        writ: WritId::from_bytes([2; 16]),
        target: TargetName::new("payments").unwrap(),
        level: RecordLevel::Full,
        opened: at(0),
        sealed_key: b"sealed".to_vec(),
        wrapped_key: b"wrapped".to_vec(),
    }
}

pub(crate) fn record(id: u64, text: &[u8]) -> CommandRecord<'_> {
    CommandRecord {
        id: CommandId(id),
        tag: CommandTag::SqlExecute,
        at: at(id as i64),
        text: Text::Inline(text),
        decision: Decision::Allow,
        policy_hash: "abc",
        code: "",
        approval: None,
    }
}

pub(crate) fn command(id: u64, text: &[u8], parameters: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    let parameters =
        parameters.iter().map(|value| Parameter { type_id: 25, format: Format::Text, value: value.as_deref() });
    entry::command(&mut out, &record(id, text), parameters);
    out
}

pub(crate) fn outcome(id: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let masks = [MaskMark { rule: "card".to_owned(), count: 3 }];
    let record = OutcomeRecord {
        id: CommandId(id),
        at: at(id as i64),
        ending: Ending::Completed,
        text: b"SELECT 5",
        rows: Some(5),
        code: b"",
        bytes: 99,
        duration: Duration::from_micros(1234),
        masks: &masks,
    };
    entry::outcome(&mut out, &record);
    out
}

pub(crate) fn rows(id: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    entry::rows_prefix(&mut out, Some(CommandId(id)), at(id as i64), Flow::Rows, false);
    assert_eq!(out.len(), entry::ROWS_PREFIX_BYTES);
    out.extend_from_slice(bytes);
    out
}

pub(crate) fn close(commands: u64) -> Vec<u8> {
    let mut out = Vec::new();
    entry::close(&mut out, at(1000), SessionEnd::Client, "", commands);
    out
}

#[test]
fn null_empty_and_the_text_null_differ() {
    let values = [None, Some(vec![]), Some(b"NULL".to_vec())];
    let Entry::Command(read) = Entry::decode(Kind::Command, &command(1, b"select $1", &values)).unwrap() else {
        panic!("another kind")
    };
    assert_eq!(read.text, OwnedText::Inline(b"select $1".to_vec()));
    assert_eq!(read.parameters.into_iter().map(|parameter| parameter.value).collect::<Vec<_>>(), values);
}

#[test]
fn approval_and_masks_have_their_places() {
    let mut out = Vec::new();
    entry::command(&mut out, &CommandRecord { approval: Some(b""), ..record(1, b"") }, core::iter::empty());
    let Entry::Command(read) = Entry::decode(Kind::Command, &out).unwrap() else { panic!("another kind") };
    assert_eq!(read.approval, Some(vec![]));
    let Entry::Outcome(read) = Entry::decode(Kind::Outcome, &outcome(4)).unwrap() else { panic!("another kind") };
    assert_eq!((read.rows, read.duration, read.masks[0].count), (Some(5), Duration::from_micros(1234), 3));
}

#[test]
fn an_opening_reads_back() {
    assert_eq!(SessionMeta::decode(meta().session, &meta().encode()).unwrap(), meta());
}

#[test]
fn the_spool_shows_no_text_and_finds_every_flip() {
    let (mut writer, mut file) = (SessionWriter::new(meta().session, &key()).unwrap(), Vec::new());
    writer.append(Kind::Open, &mut file, |out| out.extend(meta().encode())).unwrap();
    let first = file.len();
    writer.append(Kind::Command, &mut file, |out| out.extend(command(1, b"select secret", &[]))).unwrap();
    assert!(!file.windows(6).any(|bytes| bytes == b"secret"));
    let reader = SessionReader::new(meta().session, &key()).unwrap();
    for record in [&file[..first], &file[first..]] {
        let header = Header::decode(record[..HEADER_BYTES].try_into().unwrap()).unwrap();
        assert!(reader.open(&header, &mut record.to_vec()).is_ok());
        for place in 0..record.len() {
            let mut changed = record.to_vec();
            changed[place] ^= 1;
            let header = Header::decode(changed[..HEADER_BYTES].try_into().unwrap());
            assert!(header.map_or(true, |header| reader.open(&header, &mut changed).is_err()), "byte {place}");
        }
    }
}

#[test]
fn no_number_is_used_twice_and_what_is_too_long_leaves_nothing() {
    let (mut writer, mut out) = (SessionWriter::new(meta().session, &key()).unwrap(), Vec::new());
    let long = vec![0; entry::MAX_PAYLOAD + 1];
    assert_eq!(writer.append(Kind::Rows, &mut out, |out| out.extend(&long)), Err(AppendError::TooLong));
    assert!(out.is_empty());
    for expected in 0..50 {
        out.clear();
        writer.append(Kind::Rows, &mut out, |out| out.extend(rows(1, b"x"))).unwrap();
        assert_eq!(Header::decode(out[..HEADER_BYTES].try_into().unwrap()).unwrap().counter, expected);
    }
}

#[test]
fn keys_are_not_shown() {
    assert_eq!(format!("{:?}", key()), "DataKey(..)");
}

#[test]
fn a_timeline_pairs_by_number_and_not_by_place() {
    let mut timeline = Timeline::new();
    let mut push = |order, kind, payload: Vec<u8>| {
        timeline.push(crate::Recorded { order, entry: Entry::decode(kind, &payload).unwrap() });
    };
    push(0, Kind::Command, command(1, b"first", &[None]));
    push(1, Kind::Command, command(2, b"second", &[]));
    push(2, Kind::Outcome, outcome(2));
    push(3, Kind::Outcome, outcome(1));
    push(4, Kind::Outcome, outcome(9));
    push(5, Kind::Close, close(2));
    let steps = timeline.finish();
    let Step::Command(first) = &steps[0] else { panic!("no command") };
    assert_eq!((first.text.clone(), first.outcomes[0].at), (Some(Shown::Text("first".to_owned())), at(1)));
    assert!(matches!(&steps[2], Step::Orphan { command: CommandId(9), .. }));
    assert!(matches!(&steps[3], Step::Close { commands: 2, .. }));
    assert_eq!(crate::timeline::pauses(&steps)[1], Duration::from_secs(1));
    let json = serde_json::to_value(&steps[0]).unwrap();
    assert_eq!(json["parameters"][0]["value"], serde_json::Value::Null);
}

proptest! {
    #[test]
    fn commands_read_back(id in 1_u64.., text in proptest::collection::vec(any::<u8>(), 0..300),
        values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30)), 0..9)) {
        let mut out = Vec::new();
        let record = CommandRecord { id: CommandId(id), ..record(1, &text) };
        let parameters =
            values.iter().map(|value| Parameter { type_id: 17, format: Format::Binary, value: value.as_deref() });
        entry::command(&mut out, &record, parameters);
        let Entry::Command(read) = Entry::decode(Kind::Command, &out).unwrap() else { panic!("another kind") };
        prop_assert_eq!((read.id, read.text), (CommandId(id), OwnedText::Inline(text)));
        prop_assert_eq!(read.parameters.into_iter().map(|read| read.value).collect::<Vec<_>>(), values);
    }

    #[test]
    fn any_payload_is_read_or_refused(kind in 1_u8..9, payload in proptest::collection::vec(any::<u8>(), 0..120)) {
        let kind = Kind::from_number(kind).unwrap();
        if let Ok(entry) = Entry::decode(kind, &payload) {
            prop_assert!(payload.len() >= 16, "{entry:?}");
        }
    }
}
