use writ_sql::wire::{Answer, LONGEST_ANSWER, Reason};

use super::*;

fn ask(input: &[u8]) -> (io::Result<()>, Vec<Answer>) {
    let mut output = Vec::new();
    let ended = answer_all(&mut &*input, &mut output);
    let (mut rest, mut answers) = (output.as_slice(), Vec::new());
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD>() {
        let head = wire::head(head, LONGEST_ANSWER).unwrap();
        assert_eq!(head.number, answers.len() as u64);
        let (body, behind) = behind.split_at(head.body);
        answers.push(wire::read_answer(body).unwrap());
        rest = behind;
    }
    (ended, answers)
}

#[test]
fn each_question_is_answered_in_turn_until_the_input_ends() {
    let mut input = Vec::new();
    for (number, text) in ["SELECT 1", "", "SELECT '", "SELECT 1; SELECT 2"].into_iter().enumerate() {
        wire::question(number as u64, text.as_bytes(), &mut input).unwrap();
    }
    let (ended, answers) = ask(&input);
    ended.unwrap();
    let counts = answers.iter().map(|answer| match answer {
        Answer::Statements(statements) => Ok(statements.len()),
        Answer::Unknown(reason) => Err(*reason),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [Ok(1), Ok(0), Err(Reason::Syntax), Ok(2)]);
}

#[test]
fn what_is_no_question_ends_it() {
    let mut input = Vec::new();
    wire::question(0, b"SELECT 1", &mut input).unwrap();
    for spoilt in
        [&input[..HEAD + 3], &input[..3], b"\xff\xff\xff\xff\x01\0\0\0\0\0\0\0\0".as_slice(), b"GET / HTTP/1.1"]
    {
        let (ended, answers) = ask(spoilt);
        assert!(ended.is_err() && answers.is_empty());
    }
}
