//! The relay between a client that plays with names and a model of PostgreSQL: what is executed is what was recorded, and a
//! client that keeps to the protocol is never cut off.

use std::collections::{HashMap, VecDeque};

use writ_core::fault::Blame;
use writ_wire_machine::Side;
use writ_wire_postgres::frame::{self, Reader};
use writ_wire_postgres::relay::RelaySettings;

use super::driver::Driver;
use crate::Input;

const NAMES: [&str; 3] = ["", "a", "b"];
const TEXTS: [&str; 16] = [
    "select 1",
    "select 2",
    "deallocate a",
    "deallocate all",
    "prepare a as select 3",
    "prepare b as select 4",
    "begin",
    "commit",
    "close a",
    "declare a cursor for select 5",
    "prepare a as select 6; broken at its end",
    "deallocate a; prepare a as select 7",
    "close a; declare a cursor for select 8",
    "commit; begin; declare a cursor for select 9",
    "call ends_transactions",
    "denied",
];
/// How often client and server may go on to and fro at the end: more than any queue is long.
const ROUNDS: usize = 2000;

/// The first byte chooses bounds; each further byte is a message, or the server's turn.
pub(crate) fn names(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.byte();
    let spill_above = if choice & 1 == 0 { RelaySettings::default().spill_above } else { 20 };
    let max_names = if choice & 2 == 0 { 64 } else { 3 };
    let settings = RelaySettings { spill_above, max_pipeline: 16, max_names, ..RelaySettings::default() };
    let (mut driver, mut server) = (Driver::new(settings), Server::default());
    while !input.0.is_empty() {
        match message(input.byte()) {
            Some(message) => driver.feed(Side::Client, &[&message]),
            None => answer(&mut driver, &mut server),
        }
    }
    driver.feed(Side::Client, &[&framed(b'S', |_| {})]);
    let mut rounds = 0;
    while !driver.to_server.is_empty() && rounds < ROUNDS {
        answer(&mut driver, &mut server);
        rounds += 1;
    }
    assert!(!driver.is_over(), "a client that keeps to the protocol is cut off: {:?}", driver.failed);
    assert!(driver.is_idle(), "something waits for ever");
}

fn message(byte: u8) -> Option<Vec<u8>> {
    let (kind, choice) = (byte >> 4, usize::from(byte & 15));
    let (first, second) = (NAMES.get(choice & 3)?, NAMES.get(choice >> 2)?);
    Some(match kind {
        0..3 => framed(b'Q', |body| text(body, TEXTS.get(choice).copied().unwrap_or_default())),
        3..7 => framed(b'P', |body| {
            text(body, NAMES.get(usize::from(kind - 3)).copied().unwrap_or_default());
            text(body, TEXTS.get(choice).copied().unwrap_or_default());
            body.extend([0; 2]);
        }),
        7 | 8 => framed(b'B', |body| {
            text(body, first);
            text(body, second);
            body.extend([0; 6]);
        }),
        9 | 10 => framed(b'E', |body| {
            text(body, first);
            body.extend([0; 4]);
        }),
        11 => framed(b'C', |body| {
            body.push(if choice & 4 == 0 { b'S' } else { b'P' });
            text(body, first);
        }),
        12 => framed(b'D', |body| {
            body.push(if choice & 4 == 0 { b'S' } else { b'P' });
            text(body, first);
        }),
        13 => framed(b'S', |_| {}),
        _ => return None,
    })
}

fn framed(tag: u8, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, tag, body);
    out
}

fn text(body: &mut Vec<u8>, text: &str) {
    frame::write_text(body, text.as_bytes());
}

/// The server answers all that it got, and every completed `select N` must be recorded as that.
fn answer(driver: &mut Driver, server: &mut Server) {
    let sent = core::mem::take(&mut driver.to_server);
    let mut at = 0;
    while let Ok(Some(head)) = frame::peek(&sent, at, Blame::Ours) {
        server.take(head.tag, sent.get(at + frame::HEADER..at + head.total).unwrap_or_default());
        at += head.total;
    }
    let out = core::mem::take(&mut server.out);
    driver.feed(Side::Server, &[&out]);
    for (command, tag) in driver.completed.drain(..) {
        let recorded = driver.recorded.get(&command).map(|(text, _)| text.to_ascii_uppercase()).unwrap_or_default();
        let executed = tag.starts_with(b"SELECT");
        assert!(!executed || recorded == tag, "executed and recorded differ: {}", String::from_utf8_lossy(&tag));
    }
}

/// What of PostgreSQL matters here: one table of statements and one of portals, shared by SQL and protocol.
#[derive(Debug, Default)]
struct Server {
    statements: HashMap<Vec<u8>, Vec<u8>>,
    portals: HashMap<Vec<u8>, Vec<u8>>,
    in_block: bool,
    failed: bool,
    skipping: bool,
    out: Vec<u8>,
}

impl Server {
    fn take(&mut self, tag: u8, body: &[u8]) {
        let mut reader = Reader::new(body, 0);
        match tag {
            b'S' => {
                self.skipping = false;
                self.ready();
            }
            b'H' | b'X' => {}
            _ if self.skipping => {}
            b'Q' => {
                self.statements.remove(&b""[..]);
                self.portals.remove(&b""[..]);
                self.query(reader.text().unwrap_or_default());
                self.ready();
            }
            _ => {
                if self.extended(tag, &mut reader).is_none() {
                    self.skipping = true;
                    self.error();
                }
            }
        }
    }

    fn extended(&mut self, tag: u8, reader: &mut Reader<'_>) -> Option<()> {
        match tag {
            b'P' => {
                let (name, text) = (reader.text()?, reader.text()?);
                if self.failed || (!name.is_empty() && self.statements.contains_key(name)) {
                    return None;
                }
                self.statements.insert(name.to_vec(), text.to_vec());
                self.say(b'1', b"");
            }
            b'B' => {
                let (portal, name) = (reader.text()?, reader.text()?);
                let text = self.statements.get(name).filter(|_| !self.failed)?.clone();
                if !portal.is_empty() && self.portals.contains_key(portal) {
                    return None;
                }
                self.portals.insert(portal.to_vec(), text);
                self.say(b'2', b"");
            }
            b'E' => {
                let text = self.portals.get(reader.text()?)?.clone();
                let (mut tags, done) = (VecDeque::new(), self.statement(&text)?);
                tags.push_back(done);
                self.complete(&mut tags);
            }
            b'C' => {
                let statement = reader.u8()? == b'S';
                let names = if statement { &mut self.statements } else { &mut self.portals };
                names.remove(reader.text()?);
                self.say(b'3', b"");
            }
            b'D' => {
                let statement = reader.u8()? == b'S';
                let names = if statement { &self.statements } else { &self.portals };
                names.get(reader.text()?)?;
                if statement {
                    self.say(b't', &[0; 2]);
                }
                self.say(b'n', b"");
            }
            _ => return None,
        }
        Some(())
    }

    /// Several statements; the end of the last one's transaction may fail when its work is done.
    fn query(&mut self, text: &[u8]) {
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).collect();
        let broken = parts.last().is_some_and(|last| last.starts_with(b"broken"));
        let mut tags = VecDeque::new();
        for part in parts.iter().take(parts.len() - usize::from(broken)) {
            let Some(tag) = self.statement(part) else {
                self.complete(&mut tags);
                return self.error();
            };
            tags.push_back(tag);
        }
        if broken {
            tags.pop_back();
        }
        self.complete(&mut tags);
        if broken {
            self.error();
        }
    }

    /// Runs one statement; its completion, or nothing where it fails.
    fn statement(&mut self, text: &[u8]) -> Option<String> {
        let text = core::str::from_utf8(text).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        if self.failed && text != "commit" {
            return None;
        }
        Some(match words.as_slice() {
            ["select", _] => text.to_ascii_uppercase(),
            ["deallocate", "all"] => {
                self.statements.retain(|name, _| name.is_empty());
                "DEALLOCATE ALL".to_owned()
            }
            ["deallocate", name] => {
                self.statements.remove(name.as_bytes())?;
                "DEALLOCATE".to_owned()
            }
            ["prepare", name, "as", ..] => add(&mut self.statements, name, text.split_once(" as ")?.1, "PREPARE")?,
            ["declare", name, ..] => add(&mut self.portals, name, text.split_once(" for ")?.1, "DECLARE CURSOR")?,
            ["close", name] => {
                self.portals.remove(name.as_bytes())?;
                "CLOSE CURSOR".to_owned()
            }
            ["call", _] => {
                self.portals.clear();
                "CALL".to_owned()
            }
            ["begin"] => {
                self.in_block = true;
                "BEGIN".to_owned()
            }
            ["commit"] => {
                let failed = core::mem::take(&mut self.failed);
                self.in_block = false;
                self.portals.clear();
                if failed { "ROLLBACK" } else { "COMMIT" }.to_owned()
            }
            _ => return None,
        })
    }

    fn complete(&mut self, tags: &mut VecDeque<String>) {
        for tag in tags.drain(..) {
            frame::write(&mut self.out, b'C', |body| text(body, &tag));
        }
    }

    fn ready(&mut self) {
        if !self.in_block {
            self.portals.clear();
        }
        let status = if self.failed {
            b'E'
        } else if self.in_block {
            b'T'
        } else {
            b'I'
        };
        self.say(b'Z', &[status]);
    }

    fn error(&mut self) {
        self.failed = self.in_block;
        self.say(b'E', b"C42601\0\0");
    }

    fn say(&mut self, tag: u8, body: &[u8]) {
        frame::write(&mut self.out, tag, |out| out.extend_from_slice(body));
    }
}

fn add(names: &mut HashMap<Vec<u8>, Vec<u8>>, name: &str, text: &str, tag: &str) -> Option<String> {
    if names.contains_key(name.as_bytes()) {
        return None;
    }
    names.insert(name.as_bytes().to_vec(), text.as_bytes().to_vec());
    Some(tag.to_owned())
}
