use proptest::prelude::*;

use super::*;

fn taken(frame: &[u8], cap: usize) -> Result<(Head, &[u8]), Malformed> {
    let (first, rest) = frame.split_first_chunk::<HEAD>().unwrap();
    head(first, cap).map(|head| (head, rest))
}

#[test]
fn a_question_comes_back_as_it_was() {
    let mut frame = Vec::new();
    question(7, b"SELECT 1", &mut frame).unwrap();
    assert_eq!(taken(&frame, 8), Ok((Head { number: 7, body: 8 }, b"SELECT 1".as_slice())));
    assert_eq!(taken(&frame, 7), Err(Malformed::Long(8)));
}

#[test]
fn a_text_above_the_cap_is_not_written() {
    let mut frame = Vec::new();
    assert_eq!(question(1, &vec![b' '; LONGEST_TEXT + 1], &mut frame), Err(Malformed::Long(LONGEST_TEXT + 1)));
    assert!(frame.is_empty());
}

#[test]
fn another_version_and_a_short_frame_are_refused() {
    let mut frame = Vec::new();
    question(1, b"", &mut frame).unwrap();
    frame[4] = 2;
    assert_eq!(taken(&frame, 100), Err(Malformed::Version(2)));
    assert_eq!(taken(&[0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0], 100), Err(Malformed::Short));
    assert!(matches!(taken(&[0xff; HEAD], 100), Err(Malformed::Version(0xff))));
}

#[test]
fn an_answer_comes_back_as_it_was() {
    for answer in
        [Answer::Statements(Vec::new()), Answer::Statements(vec![Statement::unknown()]), Answer::Unknown(Reason::Deep)]
    {
        let mut frame = Vec::new();
        super::answer(u64::MAX, &answer, &mut frame).unwrap();
        let (head, body) = taken(&frame, LONGEST_ANSWER).unwrap();
        assert_eq!((head.number, read_answer(body)), (u64::MAX, Ok(answer)));
    }
}

#[test]
fn an_answer_above_the_cap_says_that_it_was_too_much() {
    let mut statement = Statement::unknown();
    statement.prepared = Some(writ_core::statement::PreparedStep::Define("n".repeat(LONGEST_ANSWER)));
    let mut frame = Vec::new();
    answer(1, &Answer::Statements(vec![statement]), &mut frame).unwrap();
    let (_, body) = taken(&frame, LONGEST_ANSWER).unwrap();
    assert_eq!(read_answer(body), Ok(Answer::Unknown(Reason::Wide)));
}

#[test]
fn an_answer_without_accesses_or_with_more_than_unknown_is_refused() {
    let mut none = Statement::unknown();
    none.accesses.clear();
    let mut mixed = Statement::unknown();
    mixed.unfiltered = true;
    for statement in [none, mixed] {
        let body = serde_json::to_vec(&Answer::Statements(vec![statement])).unwrap();
        assert_eq!(read_answer(&body), Err(Malformed::Answer));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), HEAD..64)) {
        if let Ok((_, body)) = taken(&bytes, 64) {
            let _ = read_answer(body);
        }
    }
}
