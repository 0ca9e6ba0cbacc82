//! Fuzz targets: everything in Writ that reads bytes from outside, each as a function of bytes with its invariants.
//!
//! A target panics where an invariant does not hold, and for nothing else: whatever the bytes are, a parser answers or refuses.
//! `tests/all.rs` runs each over its corpus and a fixed number of mutations of it, on stable Rust, in every test run.
//! `examples/long.rs` does the same for as long as one likes; `libfuzzer/` is the same targets for cargo-fuzz.
//!
//! Read next: [`TARGETS`], then `README.md`.

mod client;
mod evidence;
mod identity;
mod masking;
pub mod mutate;
mod operator;
mod postgres;
mod sql;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is its corpus's folder too.
    pub name: &'static str,
    /// Checks its invariants for these bytes.
    pub run: fn(&[u8]),
    /// How many mutations a short run takes.
    pub short: u32,
    /// What is worth writing into its bytes.
    pub words: &'static [&'static [u8]],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "startup", run: postgres::startup, short: 20_000, words: postgres::STARTUP_WORDS },
    Target { name: "client_login", run: client::login, short: 20_000, words: client::WORDS },
    Target { name: "upstream", run: postgres::upstream, short: 20_000, words: postgres::UPSTREAM_WORDS },
    Target { name: "relay", run: postgres::relay, short: 10_000, words: postgres::RELAY_WORDS },
    Target { name: "names", run: postgres::names, short: 10_000, words: &[] },
    Target { name: "proxy", run: operator::proxy, short: 50_000, words: operator::PROXY_WORDS },
    Target { name: "token", run: identity::token, short: 20_000, words: identity::WORDS },
    Target { name: "keys", run: identity::keys, short: 5_000, words: identity::WORDS },
    Target { name: "discovery", run: identity::discovery, short: 10_000, words: identity::WORDS },
    Target { name: "aws_proof", run: identity::aws_proof, short: 20_000, words: identity::AWS_WORDS },
    Target { name: "config", run: operator::config, short: 2_000, words: operator::CONFIG_WORDS },
    Target { name: "policy", run: operator::policy, short: 200, words: operator::POLICY_WORDS },
    Target { name: "entry", run: evidence::entry, short: 50_000, words: &[] },
    Target { name: "segment", run: evidence::segment, short: 5_000, words: &[b"writseg1"] },
    Target { name: "spool", run: evidence::spool, short: 3_000, words: &[b"writspl1", b"wrec"] },
    Target { name: "note", run: evidence::note, short: 20_000, words: evidence::NOTE_WORDS },
    Target { name: "tile", run: evidence::tile, short: 20_000, words: &[] },
    Target { name: "proof", run: evidence::proof, short: 10_000, words: evidence::NOTE_WORDS },
    Target { name: "sealed", run: operator::sealed, short: 5_000, words: operator::SEALED_WORDS },
    Target { name: "tokens", run: sql::tokens, short: 50_000, words: sql::WORDS },
    Target { name: "statements", run: sql::statements, short: 5_000, words: sql::WORDS },
    Target { name: "mask", run: masking::mask, short: 20_000, words: masking::WORDS },
    Target { name: "frames", run: sql::frames, short: 20_000, words: sql::FRAME_WORDS },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Takes bytes off the front of fuzz input: what a target reads its own choices from.
#[derive(Debug, Clone)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Cuts bytes into pieces of 1 to `longest` bytes, by a seed: what a network does.
fn pieces(mut bytes: &[u8], seed: u64, longest: usize) -> Vec<&[u8]> {
    let mut random = mutate::Random::new(seed);
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((1 + random.below(longest)).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}
