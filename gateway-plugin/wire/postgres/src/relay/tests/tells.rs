//! What a driver that asks for it is told of replies.

use super::super::rig::{Rig, bind, complete, error, execute, message, parse, query, ready, row, sync};
use writ_wire_machine::Machine as _;

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
fn unasked_only_changes_of_the_schema_are_told() {
    let mut rig = Rig::new(RelaySettings::default());
    rig.client(&query("select 1"));
    rig.server(&[columns(), row("1"), complete("CREATE TABLE"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "Schema { tables: true }; Schema { tables: true }");
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
    rig.server(&[message(b'1', b""), message(b'2', b""), message(b'n', b"")].concat());
    for _ in 0..2 {
        rig.server(&[whole.as_slice(), &ready(b'I')].concat());
        assert!(told(&mut rig).contains("columns: 2, text: Some([99, 111"));
        rig.client(&[bind("", "s"), execute(""), sync()].concat());
        rig.server(&[message(b'2', b""), message(b'n', b"")].concat());
    }
    rig.server(&[whole.as_slice(), &ready(b'I')].concat());
    rig.client(&query("select 1; copy t to stdout"));
    rig.server(&whole);
    assert!(told(&mut rig).ends_with("Copy { binary: false, columns: 2, text: None }; CopyEnd"));
}

#[test]
fn rows_of_portals_are_told_with_columns_of_their_own() {
    let mut rig = rig();
    let batch = [parse("s", "select"), message(b'D', b"Ss\0"), bind_as("", "s", &[1, 0]), execute(""), sync()].concat();
    rig.client(&batch);
    rig.server(&[message(b'1', b""), message(b't', &[0, 0]), columns(), message(b'2', b"")].concat());
    assert_eq!(told(&mut rig), "Describes { (1) }");
    assert_eq!(rig.sent_to_client(), "1 t T 2");
    rig.server(&[columns(), row("a"), row("b")].concat());
    rig.server(&row("c"));
    assert_eq!(
        told(&mut rig),
        "Opens { (1), shown: false }; Study; Executes { doubted: false }",
        "once for all of them"
    );
    assert_eq!(rig.sent_to_server(), "P D B D E S");
    rig.server(&[message(b's', b""), ready(b'T')].concat());
    rig.client(&[message(b'D', b"P\0"), message(b'H', b""), execute(""), sync()].concat());
    rig.server(&[columns(), row("d"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "2 suspended; Opens { (1), shown: true }; Executes { doubted: false }");
    assert_eq!((rig.sent_to_client().as_str(), rig.sent_to_server().as_str()), ("D D D s ZT T D C ZI", "D H E S"));
    rig.client(&[bind("", "s"), execute(""), sync()].concat());
    rig.server(&[message(b'2', b""), columns(), row("d"), complete("SELECT 1"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "Opens { (1), shown: false }; Study; Executes { doubted: false }");
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
    rig.server(&[columns(), row("x"), complete("SELECT 1"), ready(b'I')].concat());
    let rows = "Opens { (1), shown: false }; Study; Executes { doubted: false }";
    assert_eq!(told(&mut rig), format!("{rows}; Forget {{ (1) }}"));
}

#[test]
fn what_failed_is_forgotten() {
    let mut rig = rig();
    rig.client(&[parse("", "bad"), bind("", ""), execute(""), sync()].concat());
    rig.server(&[error("42601"), ready(b'I')].concat());
    assert_eq!(told(&mut rig), "2 skipped; Forget { (1) }");
}

#[test]
fn the_columns_of_a_portal_whose_bind_went_through_the_spool_are_asked_too() {
    let mut rig = Rig::new(RelaySettings { tells: true, spill_above: 64, ..RelaySettings::default() });
    let long = [b"p\0\0\0\0\0\x01\0\0\0\x64".as_slice(), &[b'x'; 100], b"\0\0"].concat();
    rig.client(&[parse("", "select"), message(b'B', &long), execute("p"), sync()].concat());
    rig.server(&[message(b'1', b""), message(b'2', b""), columns(), row("x"), complete("SELECT 1")].concat());
    assert_eq!(told(&mut rig), "Opens { (1), shown: false }; Study; Executes { doubted: false }");
    assert_eq!((rig.sent_to_server().as_str(), rig.sent_to_client().as_str()), ("P B D E S", "1 2 D C"));
}

/// What `FETCH` and `EXECUTE` read is found when they run, so that anything between may change it.
#[test]
fn a_portal_that_is_not_planned_is_doubted_once_anything_came_between() {
    for (sql, between, doubted) in [
        ("fetch all from c", vec![], false),
        ("fetch all from c", vec![message(b'D', b"P\0"), message(b'H', b"")], false),
        ("fetch all from c", vec![sync()], true),
        ("fetch all from c", vec![parse("t", "x")], true),
        ("fetch all from c", vec![execute("")], true),
        ("select 1", vec![sync()], false),
        ("select 1", vec![execute("")], false),
    ] {
        let mut rig = rig();
        rig.client(&[parse("s", sql), bind("", "s")].concat());
        rig.client(&[between.concat(), execute(""), sync()].concat());
        loop {
            let asked = rig.sent_to_server();
            if asked.is_empty() {
                break;
            }
            for tag in asked.split(' ') {
                rig.server(&match tag {
                    "P" => message(b'1', b""),
                    "B" => message(b'2', b""),
                    "D" => columns(),
                    "E" => [row("x"), message(b's', b"")].concat(),
                    "S" => ready(b'T'),
                    _ => Vec::new(),
                });
            }
        }
        let story = told(&mut rig);
        let last = story.trim_end_matches("; 2 suspended");
        assert!(last.ends_with(&format!("Executes {{ doubted: {doubted} }}")), "{sql}: {story}");
    }
}

/// The answer that is asked ahead of an execution is not the client's, and an error there is the execution's.
#[test]
fn what_is_asked_ahead_of_an_execution_is_not_seen() {
    let mut rig = rig();
    rig.client(&[parse("", "set"), bind("", ""), execute(""), bind("p", ""), execute("p"), parse("x", "y")].concat());
    rig.client(&sync());
    assert_eq!(rig.sent_to_server(), "P B D E B D E P S");
    rig.server(&[message(b'1', b""), message(b'2', b""), message(b'n', b""), complete("SET")].concat());
    rig.server(&[message(b'2', b""), error("34000"), ready(b'I')].concat());
    assert_eq!(rig.sent_to_client(), "1 2 C 2 E34000 ZI");
    let story: Vec<_> = rig.story.iter().filter(|line| !line.contains("Schema")).cloned().collect();
    assert_eq!(
        story,
        [
            "1 completed `` None",
            "2 completed `SET` None",
            "3 failed 34000",
            "4 skipped",
            "Forget { statement: CommandId(4) }"
        ]
    );
    assert!(rig.relay.is_idle());
}

/// A target that sends rows of a portal that it has not described is not believed.
#[test]
fn rows_without_columns_end_the_session() {
    for between in [vec![], message(b'n', b"")] {
        let mut rig = rig();
        rig.client(&[parse("", "select"), bind("", ""), execute(""), sync()].concat());
        rig.server(&[message(b'1', b""), message(b'2', b""), between, row("x")].concat());
        let code = rig.failed.as_ref().map(|fault| fault.code);
        assert!(matches!(code, Some("postgres.undescribed" | "postgres.out_of_place")), "{code:?}");
        assert!(!rig.sent_to_client().contains('D'));
    }
}
