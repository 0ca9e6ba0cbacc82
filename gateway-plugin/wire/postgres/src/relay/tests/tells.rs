//! What a driver that asks for it is told of replies.

use super::super::rig::{Rig, bind, complete, error, execute, message, parse, query, ready, row, sync};
use super::RelaySettings;

fn rig() -> Rig {
    Rig::new(RelaySettings { tells: true, ..RelaySettings::default() })
}

fn told(rig: &mut Rig) -> String {
    let story = core::mem::take(&mut rig.story);
    let told = story.into_iter().filter(|line| !line.contains("completed") && !line.contains("failed"));
    told.map(|line| line.replace("CommandId", "").replace(" statement: ", " ")).collect::<Vec<_>>().join("; ")
}

fn columns() -> Vec<u8> {
    message(b'T', &[0, 0])
}

/// A Bind whose results come in these formats.
fn bind_as(portal: &str, statement: &str, formats: &[u16]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0\0\0"].concat();
    body.extend_from_slice(&u16::try_from(formats.len()).unwrap().to_be_bytes());
    formats.iter().for_each(|format| body.extend_from_slice(&format.to_be_bytes()));
    message(b'B', &body)
}

#[test]
fn nothing_is_told_that_nobody_asked_for() {
    let mut rig = Rig::new(RelaySettings::default());
    rig.client(&query("select 1"));
    rig.server(&[columns(), row("1"), complete("CREATE TABLE"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "");
}

#[test]
fn simple_queries_copies_and_changes_of_the_schema_are_told() {
    let mut rig = rig();
    rig.client(&query("select 1; create table; copy"));
    rig.server(&[columns(), row("1"), complete("SELECT 1"), complete("CREATE TABLE"), columns()].concat());
    assert_eq!(told(&mut rig), "Query; Schema { tables: true }; Query");
    rig.server(&[message(b'H', &[1, 0, 0]), message(b'd', b"x"), message(b'c', b""), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "Copy { binary: true, columns: 0, text: None }; CopyEnd; Schema { tables: true }");
    for (tag, stale) in [("DO", true), ("ALTER VIEW", true), ("FETCH 3", false), ("INSERT 0 1", false), ("", true)] {
        let twice = "Schema { tables: false }; Schema { tables: false }";
        rig.client(&query("x"));
        rig.server(&[complete(tag), ready(b'I')].concat());
        assert_eq!(told(&mut rig), if stale { twice } else { "" }, "{tag}");
    }
}

#[test]
fn a_change_of_the_schema_is_told_again_at_the_end_of_its_transaction() {
    let mut rig = rig();
    for (text, answer) in [
        ("begin", [complete("BEGIN"), ready(b'T')]),
        ("drop", [complete("DROP TABLE"), ready(b'T')]),
        ("replace", [complete("CREATE VIEW"), ready(b'T')]),
        ("select", [complete("SELECT 1"), ready(b'T')]),
        ("commit", [complete("COMMIT"), ready(b'I')]),
        ("select", [complete("SELECT 1"), ready(b'I')]),
    ] {
        rig.client(&query(text));
        rig.server(&answer.concat());
    }
    assert_eq!(told(&mut rig), "Schema { tables: true }; Schema { tables: false }; Schema { tables: false }");
}

#[test]
fn copies_are_told_with_the_text_that_makes_them() {
    let mut rig = rig();
    let begun = message(b'H', &[0, 0, 2, 0, 0, 0, 0]);
    let whole = [begun.as_slice(), &message(b'd', b"x\n"), &message(b'c', b""), &complete("COPY 1")].concat();
    rig.client(&query("  Copy t to stdout"));
    rig.server(&[whole.as_slice(), &ready(b'I')].concat());
    let story = told(&mut rig);
    assert!(story.starts_with("Copy { binary: false, columns: 2, text: Some([32, 32, 67"), "{story}");
    rig.client(&[parse("s", "copy t to stdout"), bind("", "s"), execute(""), sync()].concat());
    rig.server(&[message(b'1', b""), message(b'2', b"")].concat());
    for _ in 0..2 {
        rig.server(&[whole.as_slice(), &ready(b'I')].concat());
        assert!(told(&mut rig).contains("columns: 2, text: Some([99, 111"));
        rig.client(&[bind("", "s"), execute(""), sync()].concat());
        rig.server(&message(b'2', b""));
    }
    rig.server(&[whole.as_slice(), &ready(b'I')].concat());
    rig.client(&query("select 1; copy t to stdout"));
    rig.server(&whole);
    assert!(told(&mut rig).ends_with("Copy { binary: false, columns: 2, text: None }; CopyEnd"));
}

#[test]
fn rows_of_portals_are_told_with_the_formats_of_their_bind() {
    let mut rig = rig();
    let batch = [parse("s", "select"), message(b'D', b"Ss\0"), bind_as("", "s", &[1, 0]), execute(""), sync()].concat();
    rig.client(&batch);
    rig.server(&[message(b'1', b""), message(b't', &[0, 0]), columns(), message(b'2', b"")].concat());
    assert_eq!(told(&mut rig), "Describes { (1) }");
    rig.server(&[row("a"), row("b")].concat());
    rig.server(&row("c"));
    assert_eq!(told(&mut rig), "Executes { (1), formats: [1, 0] }", "once for all of them");
    rig.server(&[message(b's', b""), ready(b'T')].concat());
    rig.client(&[message(b'D', b"P\0"), execute(""), sync()].concat());
    rig.server(&[columns(), row("d"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "3 suspended; Describes { (1) }".replace('3', "2"));
    rig.client(&[bind("", "s"), execute(""), sync()].concat());
    rig.server(&[message(b'2', b""), row("d"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "Executes { (1), formats: [] }");
    rig.client(&[message(b'C', b"Ss\0"), sync()].concat());
    rig.server(&[message(b'3', b""), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "Forget { (1) }");
}

#[test]
fn a_statement_that_is_closed_before_its_portals_rows_is_kept_for_them() {
    let mut rig = rig();
    let ahead = [parse("s", "select"), bind_as("p", "s", &[1]), message(b'C', b"Ss\0"), sync()].concat();
    rig.client(&ahead);
    rig.server(&[message(b'1', b""), message(b'2', b""), message(b'3', b""), ready(b'T')].concat());
    assert_eq!(told(&mut rig), "");
    rig.client(&[execute("p"), sync()].concat());
    rig.server(&[row("x"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "Executes { (1), formats: [1] }; Forget { (1) }");
}

#[test]
fn what_failed_is_forgotten() {
    let mut rig = rig();
    rig.client(&[parse("", "bad"), bind("", ""), execute(""), sync()].concat());
    rig.server(&[error("42601"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "2 skipped; Forget { (1) }");
}

#[test]
fn rows_whose_formats_went_through_the_spool_end_the_session() {
    let mut rig = Rig::new(RelaySettings { tells: true, spill_above: 64, ..RelaySettings::default() });
    let long = [b"\0\0\0\0\0\x01\0\0\0\x64".as_slice(), &[b'x'; 100], b"\0\0"].concat();
    rig.client(&[parse("", "select"), message(b'B', &long), execute(""), sync()].concat());
    rig.server(&[message(b'1', b""), message(b'2', b""), row("x")].concat());
    assert_eq!(rig.failed.as_ref().map(|fault| fault.code), Some("postgres.formats"));
    assert!(!rig.sent_to_client().contains('D'));
}
