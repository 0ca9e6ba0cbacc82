use proptest::prelude::*;
use writ_core::event::SessionEnd;

use super::{Checkpoint, Closed, Output, Progress, ReadError, Sealed, Sealer, Segment, Settings, Stream, verify_chain};
use crate::entry::{Entry, Kind};
use crate::tests::{at, close, command, key, meta, outcome, rows};

fn sealer(settings: Settings) -> Sealer {
    let mut sealer = Sealer::new(settings).unwrap();
    sealer.saw(Checkpoint { size: 42, root: [9; 32] });
    sealer.open(meta(), key(), Progress::default());
    sealer
}

/// A session of `commands` commands with their rows, from its opening to its end.
fn records(commands: u64) -> Vec<(u64, Kind, Vec<u8>)> {
    let mut records = vec![(Kind::Open, Vec::new())];
    for id in 1..=commands {
        records.push((Kind::Command, command(id, format!("select {id}").as_bytes(), &[None])));
        records.push((Kind::Rows, rows(id, &id.to_le_bytes().repeat(40))));
        records.push((Kind::Outcome, outcome(id)));
    }
    records.push((Kind::Close, close(commands)));
    records.into_iter().zip(0..).map(|((kind, payload), order)| (order, kind, payload)).collect()
}

fn seal(settings: Settings, records: &[(u64, Kind, Vec<u8>)]) -> Vec<Output> {
    let (mut sealer, mut out) = (sealer(settings), Vec::new());
    for (order, kind, payload) in records {
        sealer.push(meta().session, *order, *kind, payload, &mut out).unwrap();
    }
    assert!(!sealer.has(meta().session));
    out
}

fn segments(out: &[Output], stream: Stream) -> Vec<&Sealed> {
    let all = out.iter().filter_map(|output| match output {
        Output::Segment(sealed) => Some(sealed),
        Output::Closed(_) => None,
    });
    all.filter(|sealed| sealed.stream == stream).collect()
}

fn read(sealed: &[&Sealed]) -> Vec<(u64, Entry)> {
    let all = |sealed: &&Sealed| {
        let segment = Segment::parse(&sealed.bytes).unwrap();
        segment.check(&sealed.digest).unwrap();
        segment.open(&key()).unwrap().entries().map(|read| read.unwrap()).collect::<Vec<_>>()
    };
    sealed.iter().flat_map(all).map(|read| (read.order, read.entry)).collect()
}

const SMALL: Settings = Settings { segment_bytes: 2000, frame_bytes: 300, window_bytes: 1 << 20, segment_seconds: 30 };

#[test]
fn everything_comes_back_in_its_stream_and_the_chain_holds() {
    let records = records(60);
    let out = seal(SMALL, &records);
    for stream in [Stream::Commands, Stream::Rows] {
        let sealed = segments(&out, stream);
        assert!(sealed.len() > 2);
        let expected = records.iter().skip(1).filter(|(_, kind, _)| Stream::of(*kind) == stream);
        let expected = expected.map(|(order, kind, payload)| (*order, Entry::decode(*kind, payload).unwrap()));
        let entries = read(&sealed).into_iter().filter(|(order, _)| *order > 0);
        assert!(entries.eq(expected));
        let parsed: Vec<_> = sealed.iter().map(|sealed| Segment::parse(&sealed.bytes).unwrap()).collect();
        verify_chain(&parsed).unwrap();
        assert!(verify_chain(parsed.iter().skip(1)).is_err());
        assert!(matches!(verify_chain([&parsed[0], &parsed[2]]), Err(ReadError::Chain { sequence: 2 })));
        assert!(stream == Stream::Rows || parsed.last().unwrap().closes());
        assert_eq!(parsed[0].header().seen, Checkpoint { size: 42, root: [9; 32] });
        assert_eq!(parsed[0].header().wrapped_key, b"wrapped");
    }
    let commands = segments(&out, Stream::Commands).len() as u64;
    let row_segments = segments(&out, Stream::Rows).len() as u64;
    let closed = Closed {
        session: meta().session,
        writ: meta().writ,
        end: SessionEnd::Client,
        code: String::new(),
        commands: 60,
        command_segments: commands,
        row_segments,
    };
    assert_eq!(out.last(), Some(&Output::Closed(closed)));
}

#[test]
fn the_index_finds_a_command_without_reading_the_rest() {
    let out = seal(SMALL, &records(60));
    let sealed = segments(&out, Stream::Commands);
    let segment = Segment::parse(&sealed[1].bytes).unwrap();
    let open = segment.open(&key()).unwrap();
    for (number, facts) in segment.frames().iter().enumerate() {
        let entries = open.frame(number).unwrap();
        let ids: Vec<_> = entries.iter().filter_map(|read| read.entry.command()).map(|id| id.0).collect();
        assert_eq!((facts.first_command, facts.last_command), (*ids.iter().min().unwrap(), *ids.iter().max().unwrap()));
        assert_eq!(facts.entries as usize, entries.len());
    }
}

#[test]
fn another_key_opens_nothing_and_no_text_shows() {
    let out = seal(Settings::default(), &records(3));
    let sealed = segments(&out, Stream::Commands)[0];
    let other = crate::DataKey::new(zeroize::Zeroizing::new([8; 32]));
    assert!(Segment::parse(&sealed.bytes).unwrap().open(&other).is_err());
    assert!(!sealed.bytes.windows(6).any(|bytes| bytes == b"select"));
}

#[test]
fn every_flip_is_found_without_the_key_and_with_it() {
    let out = seal(Settings { frame_bytes: 200, ..Settings::default() }, &records(4));
    let sealed = segments(&out, Stream::Commands)[0];
    for place in 0..sealed.bytes.len() {
        let mut changed = sealed.bytes.clone();
        changed[place] ^= 0x10;
        let Ok(segment) = Segment::parse(&changed) else { continue };
        assert_eq!(segment.check(&sealed.digest), Err(ReadError::Digest));
        let whole = segment.open(&key()).map(|open| open.entries().all(|read| read.is_ok()));
        assert_ne!(whole, Ok(true), "byte {place}");
    }
}

#[test]
fn every_cut_is_refused() {
    let out = seal(Settings::default(), &records(4));
    let sealed = segments(&out, Stream::Rows)[0];
    for length in 0..sealed.bytes.len() {
        assert!(Segment::parse(&sealed.bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn sealing_the_same_again_uses_another_key() {
    let (first, second) = (seal(Settings::default(), &records(2)), seal(Settings::default(), &records(2)));
    let salts = [&first, &second].map(|out| {
        let sealed = segments(out, Stream::Commands)[0];
        Segment::parse(&sealed.bytes).unwrap().header().salt
    });
    assert_ne!(salts[0], salts[1]);
}

#[test]
fn what_the_spool_lost_shows_as_a_gap() {
    let mut records = records(5);
    records.drain(4..7);
    let out = seal(Settings::default(), &records);
    let gap = read(&segments(&out, Stream::Commands)).into_iter().find_map(|(order, entry)| match entry {
        Entry::Gap(gap) => Some((order, gap.first, gap.last)),
        _ => None,
    });
    assert_eq!(gap, Some((4, 4, 6)));
}

#[test]
fn a_session_goes_on_from_its_progress_and_ends_as_crashed() {
    let all = records(30);
    let (mut first, mut out) = (sealer(SMALL), Vec::new());
    for (order, kind, payload) in &all[..60] {
        first.push(meta().session, *order, *kind, payload, &mut out).unwrap();
    }
    let Some(Output::Segment(last)) = out.last().cloned() else { panic!("nothing sealed") };
    let mut second = Sealer::new(SMALL).unwrap();
    second.open(meta(), key(), last.progress);
    for (order, kind, payload) in &all[..60] {
        second.push(meta().session, *order, *kind, payload, &mut out).unwrap();
    }
    second.crashed(meta().session, at(500), &mut out).unwrap();
    let Some(Output::Closed(closed)) = out.last() else { panic!("not closed") };
    assert_eq!((closed.end, closed.commands), (SessionEnd::Crash, 20));
    for stream in [Stream::Commands, Stream::Rows] {
        let sealed = segments(&out, stream);
        let parsed: Vec<_> = sealed.iter().map(|sealed| Segment::parse(&sealed.bytes).unwrap()).collect();
        verify_chain(&parsed).unwrap();
        let expected = all[..60].iter().filter(|(_, kind, _)| Stream::of(*kind) == stream).map(|(order, ..)| *order);
        assert!(read(&sealed).iter().map(|(order, _)| *order).filter(|order| *order < 60).eq(expected));
    }
}

#[test]
fn an_end_that_was_sealed_is_told_again() {
    let all = records(2);
    let out = seal(Settings::default(), &all);
    let last = segments(&out, Stream::Commands).last().unwrap().progress;
    let (mut again, mut told) = (Sealer::new(Settings::default()).unwrap(), Vec::new());
    again.open(meta(), key(), last);
    for (order, kind, payload) in &all {
        again.push(meta().session, *order, *kind, payload, &mut told).unwrap();
    }
    assert_eq!(told, out[out.len() - 1..]);
}

#[test]
fn memory_stays_within_the_window() {
    let settings = Settings { window_bytes: 20_000, frame_bytes: 1000, ..Settings::default() };
    let (mut sealer, mut out) = (sealer(settings), Vec::new());
    let mut random = vec![0; 600];
    for order in 0..400 {
        aws_lc_rs::rand::fill(&mut random).unwrap();
        sealer.push(meta().session, order, Kind::Rows, &rows(1, &random), &mut out).unwrap();
        assert!(sealer.held() < 23_000);
    }
    assert!(out.len() > 5);
}

#[test]
fn time_ends_a_segment() {
    let (mut sealer, mut out) = (sealer(Settings::default()), Vec::new());
    sealer.push(meta().session, 0, Kind::Open, &[], &mut out).unwrap();
    sealer.tick(at(29), &mut out).unwrap();
    assert!(out.is_empty());
    sealer.tick(at(30), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    let progress = sealer.progress(meta().session).unwrap();
    assert_eq!((progress.commands.next_order, progress.rows.next_order), (1, 1));
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Segment::parse(&bytes).is_err());
    }

    #[test]
    fn any_change_is_survived(place in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 1..20)) {
        let out = seal(Settings::default(), &records(3));
        let mut bytes = segments(&out, Stream::Commands)[0].bytes.clone();
        let place = place.index(bytes.len());
        for (old, new) in bytes.iter_mut().skip(place).zip(&with) {
            *old = *new;
        }
        if let Ok(open) = Segment::parse(&bytes).and_then(|segment| segment.open(&key()).map(|_| ())) {
            prop_assert_eq!(open, ());
        }
    }
}
