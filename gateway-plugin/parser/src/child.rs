//! The child: answers questions on standard input until it ends.
//!
//! It gives up all that it does not need before it reads the first byte of a stranger's text, and is worth nothing to whoever
//! takes it over: no environment, no file, no socket, no process, no new right. It keeps no state from one question to the next.

mod confine;

use std::io::{self, Read, Write};

use writ_sql::wire::{self, HEAD, LONGEST_TEXT};

pub use confine::{Limits, confine};

use crate::analyse;

/// The parser's stack, in bytes, of which what is not used costs nothing. The grammar keeps to 2 MiB of it and to trees of
/// 10,000 levels; the decoder and the walk have no guard of their own and need the rest.
pub const STACK: usize = 128 * 1024 * 1024;

/// Gives up what is not needed and answers until standard input ends.
///
/// # Errors
/// Something could not be given up (nothing was read then), or the input is no question.
pub fn serve(limits: Limits) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("sql-parser".to_owned()).stack_size(STACK).spawn(move || {
        // What is set up at the first use is set up while it may be.
        let _ = analyse(b"SELECT 1");
        confine(limits)?;
        answer_all(&mut io::stdin().lock(), &mut io::stdout().lock())
    })?;
    thread.join().map_err(|_| io::Error::other("the parser panicked"))?
}

fn answer_all(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let (mut head, mut text, mut frame) = ([0; HEAD], Vec::new(), Vec::new());
    while begins(input, &mut head)? {
        let wire::Head { number, body } = wire::head(&head, LONGEST_TEXT).map_err(io::Error::other)?;
        text.clear();
        text.resize(body, 0);
        input.read_exact(&mut text)?;
        frame.clear();
        wire::answer(number, &analyse(&text), &mut frame).map_err(io::Error::other)?;
        output.write_all(&frame)?;
        output.flush()?;
    }
    Ok(())
}

/// Reads a frame's head; `false` where the input ends before it.
fn begins(input: &mut impl Read, head: &mut [u8; HEAD]) -> io::Result<bool> {
    let (first, rest) = head.split_at_mut(1);
    loop {
        match input.read(first) {
            Ok(0) => return Ok(false),
            Ok(_) => return input.read_exact(rest).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
