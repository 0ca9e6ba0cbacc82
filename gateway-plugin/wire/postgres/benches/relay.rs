//! What the relay costs by itself: nanoseconds for one simple query's round, and how fast rows are scanned.

use std::hint::black_box;
use std::time::Instant;

use writ_core::command::CommandId;
use writ_core::grant::PolicyHash;
use writ_core::proof::{Clearance, Recorded};
use writ_wire_machine::{Effects, Machine, Side};
use writ_wire_postgres::frame;
use writ_wire_postgres::relay::{Relay, RelaySettings};

const ROUNDS: u64 = 1_000_000;

#[expect(clippy::disallowed_methods, reason = "a benchmark plays both the policy and the spool")]
fn permit() -> Recorded<Clearance> {
    Recorded::by_spool(Clearance::by_policy(PolicyHash::new("bench")))
}

fn message(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    frame::write(out, tag, |out| out.extend_from_slice(body));
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() {
    let permit = permit();
    let (mut query, mut reply, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    message(&mut query, b'Q', b"select abalance from pgbench_accounts where aid = 1\0");
    for (tag, body) in [(b'T', &[0, 0][..]), (b'D', &[0; 20]), (b'C', b"SELECT 1\0"), (b'Z', b"I")] {
        message(&mut reply, tag, body);
    }
    while rows.len() < 60_000 {
        message(&mut rows, b'D', &[0; 120]);
    }
    let mut relay = Relay::new(RelaySettings::default());
    let mut effects = Effects::default();
    let now = Instant::now();
    for id in 1..=ROUNDS {
        let _ = relay.handle(now, Side::Client, black_box(&query), &mut effects);
        relay.release(CommandId(id), &permit, &query, &mut effects);
        let _ = relay.handle(now, Side::Server, black_box(&reply), &mut effects);
        effects.clear();
    }
    println!("simple query round: {:.0} ns", now.elapsed().as_nanos() as f64 / ROUNDS as f64);
    let _ = relay.handle(now, Side::Client, &query, &mut effects);
    relay.release(CommandId(ROUNDS + 1), &permit, &query, &mut effects);
    let begun = Instant::now();
    for _ in 0..20_000 {
        let _ = relay.handle(now, Side::Server, black_box(&rows), &mut effects);
        effects.clear();
    }
    let bytes = rows.len() as f64 * 20_000.0;
    println!("rows of 125 bytes: {:.1} GB/s", bytes / begun.elapsed().as_secs_f64() / 1e9);
}
