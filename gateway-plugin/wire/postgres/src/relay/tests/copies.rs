//! Copies from the client, and what stands behind them.

use writ_wire_machine::Machine as _;

use super::super::rig::{bind, complete, error, execute, message, parse, query, ready, row, sync};
use super::rig;

#[test]
fn a_copy_from_the_client_ends_well_or_by_the_servers_error() {
    let data = message(b'd', b"1\n");
    let mut rig = rig();
    rig.client(&query("copy t from stdin"));
    rig.server(&message(b'G', &[0, 0, 0]));
    rig.client(&[data.clone(), data.clone(), message(b'c', b"")].concat());
    assert_eq!(rig.sent_to_server(), "Q d d c");
    rig.server(&[complete("COPY 2"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "G C ZI");
    assert_eq!(rig.story, ["1 completed `COPY 2` Some(2)"]);

    rig.client(&query("copy t from stdin"));
    rig.server(&message(b'G', &[0, 0, 0]));
    rig.client(&data);
    rig.server(&error("22P02"));
    rig.client(&[data, message(b'c', b""), query("select 1")].concat());
    rig.server(&ready(b'I'));
    assert_eq!(rig.sent_to_server(), "Q d Q");
}

#[test]
fn a_prepared_copy_swallows_the_sync_that_came_before_its_data() {
    let mut rig = rig();
    rig.client(&[parse("", "copy t from stdin"), bind("", ""), execute(""), sync()].concat());
    rig.server(&[message(b'1', b""), message(b'2', b""), message(b'G', &[0, 0, 0])].concat());
    rig.client(&[message(b'd', b"1\n"), message(b'c', b""), sync()].concat());
    assert_eq!(rig.sent_to_server(), "P B E S d c S");
    rig.server(&[complete("COPY 1"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "1 2 G C ZI");
    assert!(rig.relay.is_idle());
}

/// The whole of a simple copy, as a client that waits for nothing writes it.
fn copy(text: &str) -> Vec<u8> {
    [query(text), message(b'd', b"1\n"), message(b'c', b"")].concat()
}

#[test]
fn commands_may_stand_behind_copies_that_wait_for_nothing() {
    let mut rig = rig();
    rig.client(&[copy("copy t from stdin"), copy("copy u from stdin"), query("FORBIDDEN"), query("select 1")].concat());
    assert_eq!(rig.sent_to_server(), "Q");
    rig.server(&message(b'G', &[0, 0, 0]));
    assert_eq!(rig.sent_to_server(), "d c Q");
    rig.server(&[complete("COPY 1"), ready(b'I'), message(b'G', &[0, 0, 0])].concat());
    assert_eq!(rig.sent_to_server(), "d c Q Q");
    rig.server(&[complete("COPY 1"), ready(b'I'), error("42601"), ready(b'I'), row("1"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "G C ZI G C ZI E42501 ZI D ZI");
    assert!(rig.relay.is_idle());
}

#[test]
fn a_prepared_copy_goes_on_within_its_segment() {
    let mut rig = rig();
    let one = [parse("", "copy t from stdin"), bind("", ""), execute(""), message(b'd', b"1\n"), message(b'c', b"")];
    rig.client(&[one.concat(), parse("", "select 1"), bind("", ""), execute(""), sync()].concat());
    assert_eq!(rig.sent_to_server(), "P B E H", "the server may have to be asked whether a copy begins");
    rig.server(&[message(b'1', b""), message(b'2', b""), message(b'G', &[0, 0, 0])].concat());
    assert_eq!(rig.sent_to_server(), "d c P B E S");
    rig.server(&[complete("COPY 1"), message(b'1', b""), message(b'2', b""), row("1")].concat());
    rig.server(&[complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "1 2 G C 1 2 D C ZI");
    assert!(rig.relay.is_idle());
}

#[test]
fn data_for_a_copy_that_never_began_is_dropped() {
    let mut rig = rig();
    rig.client(&[copy("copy missing from stdin"), query("select 1")].concat());
    rig.server(&[error("42P01"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_server(), "Q Q");
    rig.server(&[row("1"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "E42P01 ZI D C ZI");
    assert!(rig.relay.is_idle());
}

#[test]
fn a_command_in_the_place_of_data_gets_the_servers_own_words() {
    let mut rig = rig();
    rig.client(&[query("copy t from stdin"), query("select 1")].concat());
    assert_eq!(rig.sent_to_server(), "Q Q");
    rig.server(&[message(b'G', &[0, 0, 0]), error("08P01"), error("08P01")].concat());
    assert_eq!(rig.sent_to_client(), "G E08P01 E08P01");
    assert!(rig.failed.is_none());
}
