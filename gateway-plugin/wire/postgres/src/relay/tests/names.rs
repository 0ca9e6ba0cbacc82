//! Names: what they stand for, whatever SQL does to them.

use writ_wire_machine::Machine as _;

use super::super::rig::{Rig, bind, complete, error, execute, message, parse, query, ready, row, sync};
use super::super::{RelaySettings, words};
use super::rig;

/// A session that has prepared `a` by the protocol.
fn prepared() -> Rig {
    let mut rig = rig();
    rig.client(&[parse("a", "select 1"), sync()].concat());
    rig.server(&[message(b'1', b""), ready(b'I')].concat());
    rig.sent_to_server();
    rig.sent_to_client();
    rig
}

/// Runs a simple query that comes out by these tags.
fn sql(rig: &mut Rig, text: &str, outcome: &[&str], status: u8) {
    rig.client(&query(text));
    for tag in outcome {
        rig.server(&complete(tag));
    }
    rig.server(&ready(status));
    rig.sent_to_server();
    rig.sent_to_client();
}

fn use_of(name: &str) -> Vec<u8> {
    [bind("", name), execute(""), sync()].concat()
}

/// That the gateway itself refuses what was sent, by this code, and that the session goes on.
fn refused(rig: &mut Rig, bytes: &[u8], code: &str) {
    rig.client(bytes);
    assert_eq!(rig.sent_to_server(), "B S");
    rig.server(&[error("26000"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), format!("E{code} ZI"));
    rig.client(&query("select 1"));
    rig.server(&[row("1"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "D C ZI");
    rig.sent_to_server();
}

#[test]
fn what_only_sql_knows_is_unknown_as_postgresql_would_say_it() {
    let mut rig = rig();
    sql(&mut rig, "prepare s as select 1", &["PREPARE"], b'I');
    refused(&mut rig, &use_of("s"), "26000");
    refused(&mut rig, &[execute("c"), sync()].concat(), "34000");
    rig.client(&message(b'F', &[0; 12]));
    assert_eq!(rig.sent_to_server(), "");
    assert_eq!(rig.sent_to_client(), "E42501 ZI");
    assert!(rig.relay.is_idle());
}

#[test]
fn a_statement_that_sql_may_have_replaced_is_no_longer_known() {
    for (text, outcome) in [
        ("deallocate a; prepare a as select 2", &["DEALLOCATE", "PREPARE"][..]),
        ("deallocate all; prepare a as select 2", &["DEALLOCATE ALL", "PREPARE"]),
    ] {
        let mut rig = prepared();
        sql(&mut rig, text, outcome, b'I');
        refused(&mut rig, &use_of("a"), "26000");
    }
    let mut rig = prepared();
    sql(&mut rig, "deallocate a", &["DEALLOCATE"], b'I');
    sql(&mut rig, "prepare a as select 2", &["PREPARE"], b'I');
    refused(&mut rig, &use_of("a"), "26000");
    rig.client(&[parse("b", "select 3"), sync()].concat());
    rig.server(&[message(b'1', b""), ready(b'I')].concat());
    rig.client(&use_of("b"));
    assert_eq!(rig.sent_to_server(), "P S B E S");
}

#[test]
fn a_replacement_by_the_extended_protocol_counts_too() {
    let mut rig = prepared();
    let run = |text| [parse("", text), bind("", ""), execute("")].concat();
    rig.client(&[run("deallocate a"), run("prepare a as select 2"), use_of("a")].concat());
    assert_eq!(rig.sent_to_server(), "P B E P B E H", "the use waits for what came of the words before it");
    let ran = |tag| [message(b'1', b""), message(b'2', b""), complete(tag)].concat();
    rig.server(&[ran("DEALLOCATE"), ran("PREPARE")].concat());
    assert_eq!(rig.sent_to_server(), "B S");
    rig.server(&[error("26000"), ready(b'I')].concat());
    assert!(rig.sent_to_client().ends_with("E26000 ZI"));
}

#[test]
fn a_replacement_whose_end_failed_counts_too() {
    let mut rig = prepared();
    rig.client(&[query("insert into deferred values (1); deallocate a; prepare a as select 2"), use_of("a")].concat());
    rig.server(&[complete("INSERT 0 1"), complete("DEALLOCATE"), error("23503"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_server(), "Q B S");
}

#[test]
fn drivers_that_deallocate_by_sql_go_on() {
    let mut rig = prepared();
    rig.client(&[parse("b", "select prepared_at from t"), sync()].concat());
    rig.server(&[message(b'1', b""), ready(b'I')].concat());
    sql(&mut rig, "deallocate a", &["DEALLOCATE"], b'I');
    rig.client(&[query("select 1 /* prepare */"), use_of("b")].concat());
    assert_eq!(rig.sent_to_server(), "Q");
    rig.server(&[complete("SELECT 0"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_server(), "B E S");
}

#[test]
fn the_unnamed_statement_waits_for_nothing() {
    let mut rig = rig();
    rig.client(&[query("prepare s as select 1"), parse("", "select 2"), use_of("")].concat());
    assert_eq!(rig.sent_to_server(), "Q P B E S");
}

#[test]
fn a_portal_that_sql_may_have_replaced_is_no_longer_known() {
    for (text, outcome) in [
        ("close p; declare p cursor for select 2", &["CLOSE CURSOR", "DECLARE CURSOR"][..]),
        (
            "prepare transaction 'x'; begin; declare p cursor for select 2",
            &["PREPARE TRANSACTION", "BEGIN", "DECLARE CURSOR"],
        ),
        ("commit; begin; declare p cursor for select 2", &["COMMIT", "BEGIN", "DECLARE CURSOR"]),
    ] {
        let mut rig = rig();
        sql(&mut rig, "begin", &["BEGIN"], b'T');
        rig.client(&[parse("", "select 1"), bind("p", ""), sync()].concat());
        rig.server(&[message(b'1', b""), message(b'2', b""), ready(b'T')].concat());
        rig.sent_to_server();
        rig.sent_to_client();
        rig.client(&[query(text), execute("p"), sync()].concat());
        assert_eq!(rig.sent_to_server(), "Q");
        for tag in outcome {
            rig.server(&complete(tag));
        }
        rig.server(&ready(b'T'));
        assert_eq!(rig.sent_to_server(), "B S");
        rig.server(&[error("26000"), ready(b'E')].concat());
        assert!(rig.sent_to_client().ends_with("E34000 ZE"));
    }
}

#[test]
fn a_name_that_the_server_might_take_for_another_is_not_taken() {
    let (long, same) = (format!("{}1", "n".repeat(63)), "n".repeat(63));
    let mut rig = rig();
    refused(&mut rig, &[parse(&long, "select 1"), use_of(&long)].concat(), "42602");
    refused(&mut rig, &[parse("é", "select 1"), sync()].concat(), "42602");
    refused(&mut rig, &[message(b'C', format!("S{long}\0").as_bytes()), sync()].concat(), "42602");
    rig.client(&[parse(&same, "select 1"), use_of(&same)].concat());
    assert_eq!(rig.sent_to_server(), "P B E S");
}

#[test]
fn too_many_names_fail_the_command_alone() {
    let mut rig = Rig::new(RelaySettings { max_names: 1, ..RelaySettings::default() });
    rig.client(&[parse("a", "select 1"), sync()].concat());
    rig.server(&[message(b'1', b""), ready(b'I')].concat());
    rig.sent_to_server();
    rig.sent_to_client();
    refused(&mut rig, &[parse("b", "select 2"), sync()].concat(), "53400");
    rig.client(&[message(b'C', b"Sa\0"), sync()].concat());
    rig.server(&[message(b'3', b""), ready(b'I')].concat());
    rig.client(&[parse("b", "select 2"), sync()].concat());
    assert_eq!(rig.sent_to_server(), "C S P S");
}

#[test]
fn a_keyword_is_found_in_every_spelling_and_place() {
    for text in [
        "PREPARE a AS select 1",
        "select 1;prepare\"a\" as select 2",
        "/* */pRePaRe/**/a as select 1",
        "begin;\x0bdeclare c cursor for select 1",
    ] {
        assert!(words::makes_names(text.as_bytes()), "{text}");
    }
    for text in ["select prepared_at from t", "select meal_prepare", "deallocate a", "", "p", "select $declare"] {
        assert!(!words::makes_names(text.as_bytes()), "{text}");
    }
}
