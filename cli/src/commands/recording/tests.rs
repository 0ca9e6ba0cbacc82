//! What a list of segments that was tampered with is told by.

use writ_core::grant::RecordLevel;
use writ_core::id::{SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_record::segment::{Checkpoint, Digest, SegmentHeader, Stream};

use super::Chain;

fn header(session: SessionId, sequence: u64, previous: Digest) -> SegmentHeader {
    SegmentHeader {
        stream: Stream::Commands,
        level: RecordLevel::Commands,
        session,
        writ: WritId::fresh(),
        sequence,
        previous,
        seen: Checkpoint::default(),
        salt: [0; 32],
        opened: Timestamp::UNIX_EPOCH,
        target: TargetName::new("payments").unwrap(),
        wrapped_key: Vec::new(),
    }
}

/// The remarks on the segments of these numbers, out of three of a session that has ended.
fn remarks(numbers: &[u8]) -> Vec<String> {
    let session = SessionId::fresh();
    let mut chain = Chain::of(session);
    for number in numbers {
        let previous = number.checked_sub(1).map_or([0; 32], |before| [before + 1; 32]);
        chain.take(&header(session, u64::from(*number), previous), [number + 1; 32], *number == 2);
    }
    chain.finish(true)
}

#[test]
fn a_segment_that_is_not_listed_is_missed() {
    assert_eq!(remarks(&[0, 1, 2]), Vec::<String>::new());
    for (listed, said) in [
        (&[1, 2][..], "segment 1 does not follow"),
        (&[0, 2], "segment 2 does not follow"),
        (&[0, 1], "its recording has no end"),
        (&[0], "its recording has no end"),
    ] {
        let remarks = remarks(listed);
        assert!(remarks.len() == 1 && remarks[0].contains(said), "{listed:?}: {remarks:?}");
    }
}

#[test]
fn a_segment_of_another_session_is_told() {
    let (one, other) = (SessionId::fresh(), SessionId::fresh());
    let mut chain = Chain::of(one);
    chain.take(&header(other, 0, [0; 32]), [1; 32], false);
    chain.take(&header(one, 1, [1; 32]), [2; 32], false);
    let remarks = chain.finish(false);
    assert!(remarks.len() == 1 && remarks[0].contains(&format!("segment 0 is of {other}")), "{remarks:?}");
}
