//! A question of the gateway's own to a server that it has logged in at, before the client's first.
//!
//! Sans-I/O: [`write()`] gives the bytes of one simple query; [`Answer`] reads to the end of what answers it, up to a bound.

use writ_core::fault::{Blame, Fault};

use crate::frame::{self, HEADER, Reader};

/// The most bytes that an answer may take where nobody says more.
const LONGEST: usize = 1 << 20;

/// One row, each value as text.
pub type Row = Vec<Option<String>>;

/// Appends a simple query.
pub fn write(out: &mut Vec<u8>, sql: &str) {
    frame::write(out, b'Q', |body| frame::write_text(body, sql.as_bytes()));
}

/// The rows of an answer, as they come.
#[derive(Debug)]
pub struct Answer {
    rows: Vec<Row>,
    read: usize,
    most: usize,
}

impl Default for Answer {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Answer {
    /// An answer of at most so many bytes.
    #[must_use]
    pub const fn up_to(most: usize) -> Self {
        Self { rows: Vec::new(), read: 0, most }
    }

    /// Reads what came: how many bytes are done with, and whether the server is ready again.
    ///
    /// # Errors
    /// The server refuses, says what does not belong there, or too much.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let mut done = 0;
        while let Some(head) = frame::peek(bytes, done, Blame::Target)? {
            if self.read + head.total > self.most {
                return Err(refused("it answers more than it was asked for"));
            }
            let Some(frame) = bytes.get(done..done + head.total) else { break };
            (done, self.read) = (done + head.total, self.read + head.total);
            match head.tag {
                b'D' => {
                    let row = row(frame).ok_or_else(|| frame::malformed(Blame::Target, b'D'))?;
                    self.rows.push(row);
                }
                b'Z' => return Ok((done, true)),
                b'T' | b'C' | b'N' | b'S' | b'A' => {}
                b'E' => return Err(refused(&String::from_utf8_lossy(frame.get(HEADER..).unwrap_or_default()))),
                tag => return Err(frame::malformed(Blame::Target, tag)),
            }
        }
        Ok((done, false))
    }

    /// The rows.
    #[must_use]
    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

fn row(frame: &[u8]) -> Option<Row> {
    let mut reader = Reader::new(frame, HEADER);
    let count = reader.u16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = reader.u32()?;
        values.push(if length == u32::MAX {
            None
        } else {
            Some(String::from_utf8(reader.take(length as usize)?.to_vec()).ok()?)
        });
    }
    reader.is_empty().then_some(values)
}

fn refused(detail: &str) -> Fault {
    Fault::new("login.facts", Blame::Target, "the target does not say what the gateway must know of a session")
        .help("tell the operator of the gateway")
        .detail(detail.escape_debug().to_string())
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use crate::frame;

    fn answer() -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, b'T', |body| body.extend_from_slice(&[0, 0]));
        frame::write(&mut bytes, b'D', |body| {
            body.extend_from_slice(&[0, 2, 0, 0, 0, 1, b'x', 0xff, 0xff, 0xff, 0xff]);
        });
        frame::write(&mut bytes, b'C', |body| frame::write_text(body, b"SELECT 1"));
        frame::write(&mut bytes, b'Z', |body| body.push(b'I'));
        bytes
    }

    #[test]
    fn it_is_read_wherever_it_is_split() {
        let whole = answer();
        for split in 0..whole.len() {
            let mut reading = Answer::default();
            let (done, ready) = reading.handle(&whole[..split]).expect("the first part");
            assert!(!ready);
            let (rest, ready) = reading.handle(&whole[done..]).expect("the rest");
            assert!(ready && done + rest == whole.len());
            assert_eq!(reading.into_rows(), [[Some("x".to_owned()), None]]);
        }
    }

    #[test]
    fn an_error_or_what_does_not_belong_there_is_refused() {
        for tag in *b"E1GR" {
            let mut bytes = Vec::new();
            frame::write(&mut bytes, tag, |body| body.push(0));
            assert!(Answer::default().handle(&bytes).is_err(), "{tag}");
        }
        let mut bytes = Vec::new();
        frame::write(&mut bytes, b'D', |body| body.extend_from_slice(&[0, 9]));
        assert!(Answer::default().handle(&bytes).is_err());
    }
}
