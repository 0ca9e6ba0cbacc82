//! What must hold of any text, for property tests and fuzz targets. The parser runs in the caller's process here.

use pg_query::protobuf::{ScanToken, Token};
use writ_core::statement::Statement;
use writ_sql::wire::{self, Answer, HEAD, LONGEST_ANSWER};
use writ_sql::{Class, Lexer, Uncut, outline};

use crate::analyse;
use crate::analyse::agrees;
use crate::child::STACK;

/// What the server's scanner takes, the lexer cuts alike, but for what the server refuses: a character that starts no token,
/// which no grammar takes, and a parameter that runs into letters, which libpg_query takes and no server since version 15.
///
/// # Errors
/// They cut it differently: how.
pub fn cut_alike(text: &str) -> Result<(), String> {
    if Lexer::new(text).next().is_none() || text.contains('\0') {
        return Ok(());
    }
    let Ok(theirs) = pg_query::scan_tokens(text) else { return Ok(()) };
    let ours: Result<Vec<_>, _> =
        Lexer::new(text).map(|token| token.map(|t| (t.class, t.start, t.text.len()))).collect();
    let stray = |token: &ScanToken| {
        let span = usize::try_from(token.start).ok().zip(usize::try_from(token.end).ok());
        let alone = span.and_then(|(start, end)| text.get(start..end)).filter(|text| text.len() == 1);
        alone.is_some_and(|text| Lexer::new(text).next() == Some(Err(Uncut::Stray)))
    };
    let refused = match ours {
        Err(Uncut::Stray) => theirs.iter().any(stray),
        Err(Uncut::Number) => theirs.iter().any(|token| token.token() == Token::Param),
        _ => false,
    };
    if refused || agrees(text) { Ok(()) } else { Err(format!("{text:?}: {ours:?}, {theirs:?}")) }
}

/// What is said of a text holds for each text of its shape, unless it says that it read literals; and the answer passes the
/// frames between parser and gateway.
///
/// # Errors
/// It does not: how.
pub fn said_of_the_shape(text: &str) -> Result<(), String> {
    let thread = std::thread::Builder::new().stack_size(STACK);
    std::thread::scope(|scope| {
        let said = thread.spawn_scoped(scope, || same_for_the_shape(text)).map_err(|error| error.to_string())?;
        said.join().map_err(|_| format!("{text:?}: the parser panicked"))?
    })
}

fn same_for_the_shape(text: &str) -> Result<(), String> {
    let said = analyse(text.as_bytes());
    framed(&said)?;
    let Answer::Statements(statements) = said else { return Ok(()) };
    let other = with_other_literals(text);
    if outline(text.as_bytes()).map(|outline| outline.shape) != outline(other.as_bytes()).map(|outline| outline.shape) {
        return Err(format!("{text:?} and {other:?} have not one shape"));
    }
    match analyse(other.as_bytes()) {
        Answer::Statements(others) if !alike(&statements, &others) => {
            Err(format!("{text:?}: {statements:?}, {other:?}: {others:?}"))
        }
        // A literal may be one that the grammar refuses where it stands.
        _ => Ok(()),
    }
}

fn alike(ones: &[Statement], others: &[Statement]) -> bool {
    ones.len() == others.len()
        && ones.iter().zip(others).all(|(one, other)| one.literal || other.literal || one == other)
}

fn framed(said: &Answer) -> Result<(), String> {
    let mut frame = Vec::new();
    wire::answer(1, said, &mut frame).map_err(|error| error.to_string())?;
    let (head, body) = frame.split_first_chunk::<HEAD>().ok_or("no head")?;
    let head = wire::head(head, LONGEST_ANSWER).map_err(|error| error.to_string())?;
    let back = wire::read_answer(body).map_err(|error| format!("{error}: {said:?}"))?;
    if back == *said && head.body == body.len() { Ok(()) } else { Err(format!("{said:?} came back as {back:?}")) }
}

/// The text with each literal changed, but for one that is part of a name.
fn with_other_literals(text: &str) -> String {
    let (mut other, mut part_of_name) = (String::new(), false);
    for token in Lexer::new(text).map_while(Result::ok) {
        let kept = String::from_utf8_lossy(token.text);
        other.push_str(match token.class {
            _ if part_of_name => &kept,
            Class::String => "'other'",
            Class::Bits => "B'0'",
            Class::Integer => "7",
            Class::Float => "7.5",
            _ => &kept,
        });
        other.push(' ');
        part_of_name = kept.eq_ignore_ascii_case("uescape");
    }
    other
}
