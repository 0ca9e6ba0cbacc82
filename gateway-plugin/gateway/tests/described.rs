//! What a statement was described as is not what it later means: names that are declared, prepared and found anew.

use crate::world::raw::{Frame, Raw, message};
use crate::world::{World, direct};

const NAME: &str = "Ada Lovelace";
const CARD: i64 = 4_111_111_111_111_111;

/// A world with `SCHEMA.people`, of whose names nothing may be seen, and card numbers nowhere.
async fn world(schema: &str, rules: &str) -> World {
    let setup = format!(
        "drop schema if exists {schema} cascade; create schema {schema}; set search_path to {schema}; \
         create table people (id int8 primary key, name text, card text, number int8, note text); \
         insert into people values (1, '{NAME}', '{CARD}', {CARD}, 'a note')"
    );
    direct().await.batch_execute(&setup).await.unwrap();
    let rules = rules.replace("SCHEMA", schema);
    World::start(|fake| fake.masks = Some(rules)).await
}

const NAMES: &str = r#"
    computed = "mask"
    rules = [{ name = "names", column = "SCHEMA.people.name", action = "redact" }]
"#;
const CARDS: &str = r#"rules = [{ name = "cards", detector = "pan", action = "partial" }]"#;

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

fn describe(name: &str) -> Vec<u8> {
    message(b'D', &[b"S", name.as_bytes(), b"\0"].concat())
}

fn bind(portal: &str, name: &str, binary: bool) -> Vec<u8> {
    let tail: &[u8] = if binary { b"\0\0\0\0\0\0\x01\0\x01" } else { b"\0\0\0\0\0\0\0" };
    message(b'B', &[portal.as_bytes(), b"\0", name.as_bytes(), tail].concat())
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

async fn sent(raw: &mut Raw, parts: &[Vec<u8>]) -> Vec<Frame> {
    raw.send(&[parts.concat(), message(b'S', b"")].concat()).await.unwrap();
    raw.frames_to(b'Z').await
}

/// Whether a row came, and none with what nobody may see.
fn masked(frames: &[Frame]) {
    assert!(frames.iter().any(|frame| frame.tag == b'D'), "no row: {frames:?}");
    let number = CARD.to_be_bytes();
    let text = CARD.to_string();
    for frame in frames {
        for secret in [NAME.as_bytes(), &number, text.as_bytes()] {
            assert!(!frame.body.windows(secret.len()).any(|part| part == secret), "{frame:?}");
        }
    }
}

#[tokio::test]
async fn a_prepared_fetch_reads_another_cursor_of_the_name() {
    for (schema, rules, first, then, binary) in [
        ("fetch_names", NAMES, "note", "name", false),
        ("fetch_cards", CARDS, "card", "number", true),
        ("fetch_numbers", CARDS, "number", "card", true),
    ] {
        let world = world(schema, rules).await;
        let mut raw = world.raw().await;
        raw.ask(&format!("begin; declare c cursor for select {first} from {schema}.people")).await;
        sent(&mut raw, &[parse("s", "fetch all from c"), describe("s")]).await;
        raw.ask("close c").await;
        raw.ask(&format!("declare c cursor for select {then} from {schema}.people")).await;
        masked(&sent(&mut raw, &[bind("", "s", binary), execute("")]).await);
    }
}

#[tokio::test]
async fn a_name_that_is_found_elsewhere_is_of_another_table() {
    let setup = |schema: &str| {
        format!(
            "drop schema if exists {schema}_x cascade; create schema {schema}_x; \
             create table {schema}_x.people (name text); insert into {schema}_x.people values ('harmless')"
        )
    };
    for (schema, before, after) in [
        ("path_set", "set search_path to SCHEMA_x", "set search_path to SCHEMA"),
        ("path_back", "set search_path to SCHEMA; begin; set search_path to SCHEMA_x", "rollback"),
        ("path_drop", "set search_path to SCHEMA_x, SCHEMA", "drop table SCHEMA_x.people"),
        (
            "path_temporary",
            "set search_path to SCHEMA; create temporary table people as select 'x'::text as name",
            "drop table pg_temp.people",
        ),
        ("path_config", "set search_path to SCHEMA_x", "select set_config('search_path', 'SCHEMA', false)"),
    ] {
        direct().await.batch_execute(&setup(schema)).await.unwrap();
        let world = world(schema, NAMES).await;
        let mut raw = world.raw().await;
        for sql in before.replace("SCHEMA", schema).split("; ") {
            raw.ask(sql).await;
        }
        let first = [parse("s", "select name from people"), describe("s"), bind("", "s", false), execute("")];
        masked(&sent(&mut raw, &first).await);
        raw.ask(&after.replace("SCHEMA", schema)).await;
        masked(&sent(&mut raw, &[bind("", "s", false), execute("")]).await);
    }
}

#[tokio::test]
async fn an_unnamed_execution_runs_another_statement_of_the_name() {
    let world = world("unnamed", NAMES).await;
    let mut raw = world.raw().await;
    raw.ask("prepare q as select note from unnamed.people").await;
    let two = [parse("a", "deallocate q"), parse("b", "prepare q as select name from unnamed.people")];
    sent(&mut raw, &two).await;
    sent(&mut raw, &[parse("", "execute q"), describe("")]).await;
    sent(&mut raw, &[bind("p", "a", false), execute("p")]).await;
    sent(&mut raw, &[bind("p", "b", false), execute("p")]).await;
    masked(&sent(&mut raw, &[bind("", "", false), execute("")]).await);
}

/// What an execution reads is found when it runs, not when it is bound.
#[tokio::test]
async fn a_portal_that_was_bound_before_its_name_was_made_anew_is_masked_as_if_every_rule_applied() {
    let world = world("portals", NAMES).await;
    let mut raw = world.raw().await;
    raw.ask("begin; prepare q as select note from portals.people").await;
    let two = [parse("a", "deallocate q"), parse("b", "prepare q as select name from portals.people")];
    sent(&mut raw, &two).await;
    sent(&mut raw, &[parse("s", "execute q"), bind("it", "s", false)]).await;
    sent(&mut raw, &[bind("", "a", false), execute("")]).await;
    sent(&mut raw, &[bind("", "b", false), execute("")]).await;
    let described = message(b'D', b"Pit\0");
    let frames = sent(&mut raw, &[described, execute("it")]).await;
    let rows: Vec<_> = frames.iter().filter(|frame| frame.tag == b'D').collect();
    assert!(rows.iter().all(|row| !row.body.windows(3).any(|part| part == b"Ada")), "{rows:?}");
}

/// What was described is not what a client sees twice, whatever the gateway asks by itself.
#[tokio::test]
async fn a_client_sees_the_same_answers_as_without_a_mask() {
    let (masked, plain) = (world("views", CARDS).await, World::start(|_| {}).await);
    let parts = |portal: &str| {
        [
            parse("s", "select id, note from views.people, generate_series(1, 3) order by 1"),
            bind(portal, "s", false),
            message(b'E', &[portal.as_bytes(), b"\0\0\0\0\x02"].concat()),
            message(b'E', &[portal.as_bytes(), b"\0\0\0\0\x02"].concat()),
            message(b'H', b""),
            message(b'D', &[b"P", portal.as_bytes(), b"\0"].concat()),
            message(b'C', b"Ss\0"),
            parse("", "select 1 / (id - 1) from views.people"),
            bind("", "", true),
            execute(""),
            parse("t", "select 1"),
        ]
    };
    let mut all = Vec::new();
    for world in [&masked, &plain] {
        let (mut raw, mut frames) = (world.raw().await, Vec::new());
        for portal in ["", "p"] {
            frames.extend(sent(&mut raw, &parts(portal)).await);
        }
        frames.extend(sent(&mut raw, &[parse("", ""), bind("", "", false), execute("")]).await);
        frames.extend(sent(&mut raw, &[parse("", "set a.b to 1"), bind("", "", false), execute("")]).await);
        frames.extend(sent(&mut raw, &[execute("none")]).await);
        let copy = [parse("", "copy (select 1) to stdout"), bind("", "", false), execute("")];
        frames.extend(sent(&mut raw, &copy).await);
        all.push(frames);
    }
    assert_eq!(all[0], all[1]);
}
