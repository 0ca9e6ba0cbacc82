//! How a login ends, overheard in what the gateway tells the client: read beside the bytes that are carried, never instead of them.

use super::startup::{LONGEST_MESSAGE, message};
use super::watch::{Event, Watch};

/// What a writ's id begins with, and the length of the whole.
const WRIT: (&str, usize) = ("writ-", 31);

/// The SQLSTATE of a connection that broke.
const BROKEN: &str = "08006";

/// Hears up to the end of one login.
pub(super) struct Hearing<'a> {
    watch: &'a dyn Watch,
    connection: u64,
    bytes: Vec<u8>,
    writ: Option<String>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Listening,
    Opened,
    Over,
}

impl<'a> Hearing<'a> {
    pub(super) const fn new(watch: &'a dyn Watch, connection: u64) -> Self {
        Self { watch, connection, bytes: Vec::new(), writ: None, state: State::Listening }
    }

    /// Whether there is more to hear.
    pub(super) fn listens(&self) -> bool {
        self.state == State::Listening
    }

    /// Hears what the gateway says next. What is no login any more is not listened to.
    pub(super) fn hear(&mut self, said: &[u8]) {
        self.bytes.extend_from_slice(said);
        let mut from = 0;
        while self.listens() {
            let rest = self.bytes.get(from..).unwrap_or_default();
            match message(rest) {
                Ok(Some((tag, body, length))) => {
                    let heard = heard(tag, body);
                    from += length;
                    self.take(&heard);
                }
                Ok(None) => break,
                Err(_) => self.state = State::Over,
            }
        }
        self.bytes.drain(..from.min(self.bytes.len()));
        if !self.listens() || self.bytes.len() > LONGEST_MESSAGE {
            self.bytes = Vec::new();
        }
    }

    fn take(&mut self, heard: &Heard) {
        match heard {
            Heard::Writ(writ) => self.writ = Some(writ.clone()),
            Heard::Refused(code, words) => {
                self.state = State::Over;
                self.watch.saw(self.connection, Event::Refused(code, words));
            }
            Heard::Ready => {
                self.state = State::Opened;
                self.watch.saw(self.connection, Event::Opened(self.writ.as_deref()));
            }
            Heard::Other => {}
        }
    }
}

/// The connection is over, however that came.
impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        match self.state {
            State::Opened => self.watch.saw(self.connection, Event::Closed),
            State::Listening => {
                self.watch.saw(self.connection, Event::Refused(BROKEN, "the connection ended during the login"))
            }
            State::Over => {}
        }
    }
}

/// What one message of a login says.
enum Heard {
    Writ(String),
    Refused(String, String),
    Ready,
    Other,
}

fn heard(tag: u8, body: &[u8]) -> Heard {
    match tag {
        b'Z' => Heard::Ready,
        b'E' => {
            let (code, words) = refusal_of(body);
            Heard::Refused(code, words)
        }
        b'S' => writ(body).map_or(Heard::Other, Heard::Writ),
        _ => Heard::Other,
    }
}

/// SQLSTATE and words of an error, with the gateway's hint behind them.
pub(super) fn refusal_of(body: &[u8]) -> (String, String) {
    let fields = body.split(|byte| *byte == 0).filter_map(|field| field.split_first());
    let (mut code, mut words, mut hint) = (String::new(), String::new(), String::new());
    for (kind, text) in fields {
        let text = String::from_utf8_lossy(text).into_owned();
        match kind {
            b'C' => code = text,
            b'M' => words = text,
            b'H' => hint = text,
            _ => {}
        }
    }
    if !hint.is_empty() {
        words = format!("{words} ({hint})");
    }
    (code, words)
}

/// The writ's id, which the gateway puts before the client's own name at the target, where `body` reports that name.
fn writ(body: &[u8]) -> Option<String> {
    let mut texts = body.split(|byte| *byte == 0);
    if texts.next()? != b"application_name" {
        return None;
    }
    let name = core::str::from_utf8(texts.next()?).ok()?;
    let id = name.split(' ').next()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let digits = id.strip_prefix(WRIT.0)?;
    (id.len() == WRIT.1 && digits.bytes().all(plain)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests;
