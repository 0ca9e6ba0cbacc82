use proptest::collection::vec;
use proptest::prelude::*;
use writ_core::fault::{Blame, Fault};
use writ_wire_machine::{Effects, Machine, TransactionState};

use super::rig::{FORBIDDEN, Rig, bind, complete, contains, error, execute, message, parse, query, ready, row, sync};
use super::{Relay, RelaySettings};

mod copies;
mod names;
mod tells;

fn rig() -> Rig {
    Rig::new(RelaySettings::default())
}

#[test]
fn a_simple_query_goes_and_its_rows_come() {
    let mut rig = rig();
    rig.client(&query("select 1"));
    assert_eq!(rig.sent_to_server(), "Q");
    rig.server(&[message(b'T', &[0, 0]), row("1"), row("2"), complete("SELECT 2"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "T D D C ZI");
    assert_eq!(rig.story, ["1 completed `SELECT 2` Some(2)"]);
    assert!(rig.relay.is_idle());
}

#[test]
fn an_extended_batch_goes_as_one() {
    let mut rig = rig();
    rig.client(&[parse("", "select $1"), bind("", ""), message(b'D', b"P\0"), execute(""), sync()].concat());
    assert_eq!(rig.sent_to_server(), "P B D E S");
    rig.server(
        &[message(b'1', b""), message(b'2', b""), message(b'n', b""), complete("UPDATE 3"), ready(b'T')].concat(),
    );
    assert_eq!(rig.sent_to_client(), "1 2 n C ZT");
    assert_eq!(rig.story, ["1 completed `` None", "2 completed `UPDATE 3` Some(3)"]);
    assert_eq!(rig.relay.transaction(), TransactionState::Open);
}

#[test]
fn an_error_skips_to_the_sync_and_pairs_what_follows() {
    let mut rig = rig();
    let batch = |text| [parse("", text), bind("", ""), execute(""), sync()].concat();
    rig.client(&[batch("bad"), batch("good")].concat());
    rig.sent_to_server();
    rig.server(&[error("42601"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "E42601 ZI");
    rig.server(&[message(b'1', b""), message(b'2', b""), row("x"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(rig.story, ["1 failed 42601", "2 skipped", "3 completed `` None", "4 completed `SELECT 1` Some(1)"]);
    assert!(rig.relay.is_idle());
}

#[test]
fn a_refused_query_is_answered_at_once_outside_a_transaction() {
    let mut rig = rig();
    rig.client(&query("FORBIDDEN"));
    assert_eq!(rig.sent_to_server(), "");
    assert_eq!(rig.sent_to_client(), "E42501 ZI");
    assert!(rig.relay.is_idle());
}

#[test]
fn a_refused_query_fails_the_transaction_at_the_server() {
    let mut rig = rig();
    rig.client(&query("begin"));
    rig.server(&[complete("BEGIN"), ready(b'T')].concat());
    rig.sent_to_server();
    rig.sent_to_client();
    rig.client(&query("FORBIDDEN"));
    assert!(!contains(&rig.to_server, FORBIDDEN));
    assert_eq!(rig.sent_to_server(), "Q");
    rig.server(&[error("42601"), ready(b'E')].concat());
    assert_eq!(rig.sent_to_client(), "E42501 ZE");
    assert_eq!(rig.relay.transaction(), TransactionState::Failed);
}

#[test]
fn a_refused_parse_is_answered_once_behind_earlier_replies() {
    let mut rig = rig();
    let good = [parse("", "select 1"), bind("", ""), execute("")].concat();
    let bad = [parse("", "FORBIDDEN"), bind("", ""), execute(""), sync()].concat();
    rig.client(&[good, bad, query("select 2")].concat());
    assert_eq!(rig.sent_to_server(), "P B E B S Q");
    rig.server(&[message(b'1', b""), message(b'2', b""), row("1")].concat());
    assert_eq!(rig.sent_to_client(), "1 2 D");
    rig.server(&[complete("SELECT 1"), error("26000"), ready(b'I'), complete("SELECT 0"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "C E42501 ZI C ZI");
    assert!(rig.relay.is_idle());
}

#[test]
fn a_name_that_could_mean_two_statements_waits() {
    let mut rig = rig();
    rig.client(&[parse("a", "select 1"), sync()].concat());
    rig.server(&[message(b'1', b""), ready(b'I')].concat());
    rig.sent_to_server();
    rig.client(&[parse("a", "select 2"), sync(), bind("", "a"), execute(""), sync()].concat());
    assert_eq!(rig.sent_to_server(), "P S");
    rig.server(&[error("42P05"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_server(), "B E S");
}

#[test]
fn a_refused_parse_leaves_the_older_statement() {
    let mut rig = rig();
    rig.client(&[parse("a", "select 1"), sync()].concat());
    rig.server(&[message(b'1', b""), ready(b'I')].concat());
    rig.client(&[parse("a", "FORBIDDEN"), sync()].concat());
    rig.server(&[error("26000"), ready(b'I')].concat());
    rig.sent_to_server();
    rig.client(&[bind("", "a"), execute(""), sync()].concat());
    assert_eq!(rig.sent_to_server(), "B E S");
}

#[test]
fn a_row_limit_suspends_and_goes_on() {
    let mut rig = rig();
    rig.client(&[parse("", "select"), bind("p", ""), execute("p"), message(b'H', b"")].concat());
    rig.server(&[message(b'1', b""), message(b'2', b""), row("1"), message(b's', b"")].concat());
    rig.client(&[execute("p"), sync()].concat());
    rig.server(&[row("2"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(rig.story, ["1 completed `` None", "2 suspended", "2 completed `SELECT 1` Some(1)"]);
    assert_eq!(rig.sent_to_client(), "1 2 D s D C ZI");
}

#[test]
fn a_long_query_goes_through_the_spool() {
    let mut rig = Rig::new(RelaySettings { spill_above: 64, ..RelaySettings::default() });
    let long = "x".repeat(300);
    for part in query(&long).chunks(50) {
        rig.client(part);
    }
    assert_eq!(rig.sent_to_server(), "Q");
    rig.client(&query(&format!("{long}FORBIDDEN")));
    assert!(!contains(&rig.to_server, FORBIDDEN));
}

#[test]
fn a_full_pipeline_holds_the_client_until_replies_drain() {
    let mut rig = Rig::new(RelaySettings { max_pipeline: 2, ..RelaySettings::default() });
    rig.client(&[query("a"), query("b"), query("c")].concat());
    assert_eq!(rig.sent_to_server(), "Q Q");
    rig.server(&[complete("SELECT 0"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_server(), "Q");
}

#[test]
fn a_full_pipeline_without_a_sync_is_flushed() {
    let mut rig = Rig::new(RelaySettings { max_pipeline: 2, ..RelaySettings::default() });
    rig.client(&[parse("", "a"), bind("", ""), execute(""), sync()].concat());
    assert_eq!(rig.sent_to_server(), "P B H");
    rig.server(&[message(b'1', b""), message(b'2', b"")].concat());
    assert_eq!(rig.sent_to_server(), "E S");
}

#[test]
fn unknown_messages_and_login_messages_end_the_session() {
    for tag in [b'p', b'?', 0, b'R', b'K'] {
        let mut rig = rig();
        rig.client(&message(tag, b""));
        assert_eq!(rig.failed.map(|fault| fault.blame), Some(Blame::Peer), "client {tag}");
    }
    for tag in [b'R', b'K', b'V', b'W', b'v', b'Q', b'1', b'D'] {
        let mut rig = self::rig();
        rig.server(&message(tag, b""));
        assert_eq!(rig.failed.map(|fault| fault.blame), Some(Blame::Target), "server {tag}");
    }
}

#[test]
fn nothing_goes_behind_a_goodbye() {
    let mut rig = rig();
    rig.client(&[query("select 1"), message(b'X', b""), query("select 2"), bind("", "unknown")].concat());
    assert_eq!(rig.sent_to_server(), "Q X");
    assert!(rig.closed);
}

#[test]
fn an_abort_tells_both_sides() {
    let mut relay = Relay::new(RelaySettings::default());
    let mut effects = Effects::default();
    relay.abort(&Fault::new("test", Blame::NotAllowed, "revoked"), &mut effects);
    assert!(contains(&effects.made, b"C57P01"));
    assert!(effects.made.ends_with(b"X\0\0\0\x04"));
}

fn client_message() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just(""), Just("a"), Just("b")];
    let text = prop_oneof![Just("select 1"), Just("FORBIDDEN x"), Just("begin")];
    prop_oneof![
        text.clone().prop_map(query),
        (name.clone(), text).prop_map(|(name, text)| parse(name, text)),
        (name.clone(), name.clone()).prop_map(|(portal, statement)| bind(portal, statement)),
        name.clone().prop_map(execute),
        name.clone().prop_map(|name| message(b'D', format!("S{name}\0").as_bytes())),
        name.prop_map(|name| message(b'C', format!("S{name}\0").as_bytes())),
        Just(sync()),
        Just(message(b'H', b"")),
        Just(message(b'd', b"data")),
        Just(message(b'c', b"")),
        Just(message(b'F', &[0; 12])),
    ]
}

fn server_message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(message(b'1', b"")),
        Just(message(b'2', b"")),
        Just(message(b'3', b"")),
        Just(message(b'n', b"")),
        Just(message(b's', b"")),
        Just(message(b'T', &[0, 0])),
        Just(message(b'G', &[0, 0, 0])),
        Just(row("value")),
        Just(complete("SELECT 1")),
        Just(error("42601")),
        Just(message(b'N', b"\0")),
        prop_oneof![Just(b'I'), Just(b'T'), Just(b'E')].prop_map(ready),
    ]
}

/// Answers what a server got as PostgreSQL would, failing what names `a`, and notes in `acted` what it did not skip.
fn answers(sent: &[u8], skipping: &mut bool, acted: &mut String) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(head) = crate::frame::peek(sent, at, Blame::Ours).unwrap() {
        let body = &sent[at + 5..at + head.total];
        at += head.total;
        if head.tag == b'S' || !*skipping && head.tag != b'H' {
            acted.push(char::from(head.tag));
        }
        match head.tag {
            b'S' => {
                *skipping = false;
                out.extend(ready(b'I'));
            }
            b'H' | b'X' => {}
            _ if *skipping => {}
            b'Q' => {
                let failed = body.starts_with(b"refused");
                out.extend(if failed { error("42601") } else { complete("SELECT 0") });
                out.extend(ready(b'I'));
            }
            _ if body.starts_with(b"a") || contains(body, b"\x01") => {
                *skipping = true;
                out.extend(error("26000"));
            }
            b'P' => out.extend(message(b'1', b"")),
            b'B' => out.extend(message(b'2', b"")),
            b'E' => out.extend([row("1"), complete("SELECT 1")].concat()),
            b'D' if body.starts_with(b"S") => out.extend([message(b't', &[0, 0]), message(b'n', b"")].concat()),
            b'D' => out.extend(message(b'T', &[0, 0])),
            b'C' => out.extend(message(b'3', b"")),
            other => panic!("the server got {other}"),
        }
    }
    out
}

fn pieces(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #[test]
    fn splits_make_no_difference(messages in vec(client_message(), 0..20), cuts in vec(any::<usize>(), 0..12)) {
        let bytes = messages.concat();
        let run = |cuts: &[usize], tells| {
            let mut rig = Rig::new(RelaySettings { tells, ..RelaySettings::default() });
            for piece in pieces(&bytes, cuts) {
                rig.client(&piece);
            }
            let (mut all, mut skipping, mut acted) = (Vec::new(), false, String::new());
            for _ in 0..30 {
                let sent = core::mem::take(&mut rig.to_server);
                for piece in pieces(&answers(&sent, &mut skipping, &mut acted), cuts) {
                    rig.server(&piece);
                }
                all.extend(sent);
            }
            assert!(rig.failed.is_none(), "{:?}", rig.failed);
            assert!(!contains(&all, FORBIDDEN));
            // How often the server was asked to hurry, and what it got to skip, depends on when its answers came.
            (acted, super::rig::tags(&rig.to_client), rig.relay.expect.queue.len())
        };
        let whole = run(&[], false);
        prop_assert_eq!(whole.2, 0);
        prop_assert_eq!(&run(&cuts, false), &whole);
        // What is asked of portals ahead of their executions depends on no cut either, and the client sees nothing of it.
        let told = run(&[], true);
        prop_assert_eq!((&told.1, told.2), (&whole.1, 0));
        prop_assert_eq!(run(&cuts, true), told);
    }

    #[test]
    fn nothing_refused_passes_whatever_both_sides_send(
        turns in vec(prop_oneof![
            client_message().prop_map(|bytes| (true, bytes)),
            server_message().prop_map(|bytes| (false, bytes)),
        ], 0..60)
    ) {
        let mut rig = rig();
        for (client, bytes) in turns {
            if client { rig.client(&bytes) } else { rig.server(&bytes) }
        }
        prop_assert!(!contains(&rig.to_server, FORBIDDEN));
    }

    #[test]
    fn noise_never_panics(turns in vec((any::<bool>(), vec(any::<u8>(), 0..40)), 0..20)) {
        let mut rig = Rig::new(RelaySettings { spill_above: 16, window: 16, max_pipeline: 4, ..RelaySettings::default() });
        for (client, bytes) in turns {
            if client { rig.client(&bytes) } else { rig.server(&bytes) }
        }
    }

    #[test]
    fn long_rows_come_in_parts_and_arrive_whole(length in 0_usize..2000, cuts in vec(any::<usize>(), 0..8)) {
        let mut rig = Rig::new(RelaySettings { window: 100, ..RelaySettings::default() });
        rig.client(&query("select"));
        let reply = [row(&"y".repeat(length)), row("z"), complete("SELECT 2"), ready(b'I')].concat();
        for piece in pieces(&reply, &cuts) {
            rig.server(&piece);
        }
        prop_assert_eq!(rig.to_client, reply);
    }
}
