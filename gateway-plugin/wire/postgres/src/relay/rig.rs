//! A driver for tests: buffers, verdicts and delivery as a gateway has them, but in memory.

use std::time::Instant;

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::PolicyHash;
use writ_core::proof::{Clearance, Recorded};
use writ_wire_machine::{Effect, Effects, Machine, Masked, Outcome, Side, TextAt};

use super::{Relay, RelaySettings};
use crate::frame;

#[expect(clippy::disallowed_methods, reason = "a test plays both the policy and the spool")]
pub(super) fn permit() -> Recorded<Clearance> {
    Recorded::by_spool(Clearance::by_policy(policy_hash()))
}

fn policy_hash() -> PolicyHash {
    PolicyHash::new("test")
}

/// What to refuse: commands whose text, or whose statement's text, holds this.
pub(super) const FORBIDDEN: &[u8] = b"FORBIDDEN";

pub(super) struct Rig {
    pub(super) relay: Relay,
    client: Vec<u8>,
    server: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    pub(super) to_server: Vec<u8>,
    /// Asks, outcomes and bulk data as words.
    pub(super) story: Vec<String>,
    denied: Vec<CommandId>,
    spool: Vec<u8>,
    pub(super) failed: Option<Fault>,
    pub(super) closed: bool,
}

impl Rig {
    pub(super) fn new(settings: RelaySettings) -> Self {
        Self {
            relay: Relay::new(settings),
            client: Vec::new(),
            server: Vec::new(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            story: Vec::new(),
            denied: Vec::new(),
            spool: Vec::new(),
            failed: None,
            closed: false,
        }
    }

    pub(super) fn client(&mut self, bytes: &[u8]) {
        self.client.extend_from_slice(bytes);
        self.pump(Side::Client);
    }

    pub(super) fn server(&mut self, bytes: &[u8]) {
        self.server.extend_from_slice(bytes);
        self.pump(Side::Server);
        self.pump(Side::Client);
    }

    /// What went to the server since the last call, as words.
    pub(super) fn sent_to_server(&mut self) -> String {
        tags(&core::mem::take(&mut self.to_server))
    }

    /// What went to the client since the last call, as words.
    pub(super) fn sent_to_client(&mut self) -> String {
        tags(&core::mem::take(&mut self.to_client))
    }

    fn pump(&mut self, side: Side) {
        loop {
            if self.failed.is_some() || self.closed {
                return;
            }
            let before = self.client.len();
            let mut effects = Effects::default();
            let bytes = if side == Side::Client { self.client.clone() } else { self.server.clone() };
            let result = self.relay.handle(Instant::now(), side, &bytes, &mut effects);
            let asked = self.carry_out(&effects);
            if let Err(fault) = result {
                self.failed = Some(fault);
                return;
            }
            for (id, deny) in &asked {
                let mut effects = Effects::default();
                let client = self.client.clone();
                if *deny {
                    let fault = Fault::new("test.denied", Blame::NotAllowed, "policy denies this");
                    self.relay.refuse(*id, &fault, &client, &mut effects);
                } else {
                    self.relay.release(*id, &permit(), &client, &mut effects);
                }
                self.carry_out(&effects);
            }
            if side == Side::Server || asked.is_empty() || self.client.len() == before {
                return;
            }
        }
    }

    fn carry_out(&mut self, effects: &Effects) -> Vec<(CommandId, bool)> {
        let mut asked = Vec::new();
        for effect in &effects.list {
            match effect {
                Effect::Ask(ask) => {
                    let denied = match &ask.text {
                        TextAt::Buffer(span) => contains(&self.client[span.clone()], FORBIDDEN),
                        TextAt::Prepared(id) => self.denied.contains(id),
                        TextAt::Spilled => contains(&self.spool, FORBIDDEN),
                    };
                    for parameter in &effects.parameters[ask.parameters.clone()] {
                        let value = parameter.value.clone().map(|span| self.client[span].to_vec());
                        self.story.push(format!("parameter {} {:?} {value:?}", parameter.type_id, parameter.format));
                    }
                    if denied {
                        self.denied.push(ask.id);
                    }
                    asked.push((ask.id, denied));
                }
                Effect::Forward { from: Side::Client, span } => {
                    self.to_server.extend_from_slice(&self.client[span.clone()])
                }
                Effect::Forward { from: Side::Server, span } => {
                    self.to_client.extend_from_slice(&self.server[span.clone()])
                }
                Effect::Send { to: Side::Client, span } => {
                    self.to_client.extend_from_slice(&effects.made[span.clone()])
                }
                Effect::Send { to: Side::Server, span } => {
                    self.to_server.extend_from_slice(&effects.made[span.clone()])
                }
                Effect::Deliver { span, .. } => {
                    let mut second = Effects::default();
                    self.relay.deliver(Masked::Unchanged(span.clone()), &mut second);
                    self.carry_out(&second);
                }
                Effect::Outcome { command, outcome } => self.outcome(*command, outcome),
                Effect::Spill { span, .. } => self.spool.extend_from_slice(&self.client[span.clone()]),
                Effect::ForwardSpilled { .. } => self.to_server.append(&mut self.spool),
                Effect::Consumed { from: Side::Client, count } => drop(self.client.drain(..count)),
                Effect::Consumed { from: Side::Server, count } => drop(self.server.drain(..count)),
                Effect::Upload { .. } => {}
                Effect::Learn(learn) => self.story.push(format!("{learn:?}")),
                Effect::Study { .. } => self.story.push("Study".to_owned()),
                Effect::Close => self.closed = true,
            }
        }
        asked
    }

    fn outcome(&mut self, command: CommandId, outcome: &Outcome) {
        let words = match outcome {
            Outcome::Completed { text, rows } => {
                format!("completed `{}` {rows:?}", String::from_utf8_lossy(&self.server[text.clone()]))
            }
            Outcome::Failed { code } => format!("failed {}", String::from_utf8_lossy(&self.server[code.clone()])),
            other => format!("{other:?}").to_lowercase(),
        };
        self.story.push(format!("{} {words}", command.0));
    }
}

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// The tags of whole frames; `E` and `Z` with their code and status.
pub(super) fn tags(bytes: &[u8]) -> String {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(head) = frame::peek(bytes, at, Blame::Ours).unwrap() {
        let body = &bytes[at + 5..at + head.total];
        let tag = char::from(head.tag);
        words.push(match tag {
            'Z' => format!("Z{}", char::from(body[0])),
            'E' if body.starts_with(b"S") => {
                let text = String::from_utf8_lossy(body).into_owned();
                let code = text.split('\0').find_map(|field| field.strip_prefix('C')).unwrap_or("?").to_owned();
                format!("E{code}")
            }
            _ => tag.to_string(),
        });
        at += head.total;
    }
    assert_eq!(at, bytes.len(), "a torn frame");
    words.join(" ")
}

/// A message: a tag and its fields.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, tag, |out| out.extend_from_slice(body));
    out
}

pub(super) fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

pub(super) fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

pub(super) fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

pub(super) fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(super) fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

pub(super) fn complete(text: &str) -> Vec<u8> {
    message(b'C', format!("{text}\0").as_bytes())
}

pub(super) fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0Mno\0\0").as_bytes())
}

pub(super) fn row(value: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend_from_slice(&(value.len() as u32).to_be_bytes());
    body.extend_from_slice(value.as_bytes());
    message(b'D', &body)
}
