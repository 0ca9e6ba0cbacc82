//! Masks by rules in front of a real server: on every way back, in every format.

use std::sync::atomic::Ordering;

use futures_util::{TryStreamExt as _, future};
use tokio_postgres::SimpleQueryMessage;

use crate::world::raw::{Raw, message, query};
use crate::world::{World, direct};

/// What nobody may see: as text, and as the eight bytes of an integer.
const CARDS: [&str; 3] = ["4111111111111111", "5555555555554444", "378282246310005"];
const NAMES: [&str; 3] = ["Ada Lovelace", "Grace Hopper", "Mary Shelley"];

/// Rules for names by column, and for card numbers wherever they are. SCHEMA stands for a test's own.
const RULES: &str = r#"
    rules = [
        { name = "names", column = "SCHEMA.people.name", action = "redact" },
        { name = "cards", detector = "pan", action = "partial" },
    ]
"#;

/// A table of people, views of it and a partition, in a schema of the test's own.
async fn people(schema: &str) {
    let mut sql = format!(
        "drop schema if exists {schema} cascade; create schema {schema}; set search_path to {schema};
         create table people (id int8 primary key, name text not null, card text, number int8, note jsonb, raw bytea) \
            partition by range (id);
         create table people_1 partition of people default;
         create view names as select id as one, name as shown from people;
         create view loud as select one as id, upper(shown) as name from names;
         create materialized view kept as select name as it from people;
         create function told(who int8) returns void language plpgsql as $$
            declare person record;
            begin
                select * into person from {schema}.people where id = who;
                raise notice 'card %', person.card using detail = person.name;
            end $$;\n"
    );
    for (id, (card, name)) in CARDS.iter().zip(NAMES).enumerate() {
        sql.push_str(&format!(
            "insert into people values ({id}, '{name}', '{card}', {card}, '{{\"card\": \"{card}\"}}', '{card}');\n"
        ));
    }
    direct().await.batch_execute(&format!("{sql} refresh materialized view kept")).await.unwrap();
}

async fn world(schema: &str) -> World {
    people(schema).await;
    let rules = RULES.replace("SCHEMA", schema);
    World::start(|fake| fake.masks = Some(rules)).await
}

/// Whether bytes hold something that nobody may see.
fn leaked(bytes: &[u8]) -> Option<String> {
    let numbers = CARDS.map(|card| card.parse::<i64>().unwrap().to_be_bytes().to_vec());
    let texts = CARDS.iter().chain(&NAMES).map(|text| text.as_bytes().to_vec());
    let loud = NAMES.map(|name| name.to_uppercase().into_bytes());
    let mut secrets = texts.chain(numbers).chain(loud);
    secrets.find(|secret| bytes.windows(secret.len()).any(|part| part == secret)).map(|secret| {
        let at = bytes.windows(secret.len()).position(|part| part == secret).unwrap();
        String::from_utf8_lossy(&bytes[at.saturating_sub(20)..at + secret.len()]).into_owned()
    })
}

/// What flowed back and was recorded holds nothing that nobody may see.
fn nothing_on_record(world: &World) {
    let flowed = world.fake.flowed.lock().unwrap();
    assert_eq!(leaked(&flowed), None);
}

async fn values(client: &tokio_postgres::Client, sql: &str) -> Vec<String> {
    let answer = client.simple_query(sql).await.unwrap();
    let rows = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|place| row.get(place).unwrap_or("NULL").to_owned()).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    rows.collect()
}

#[tokio::test]
async fn columns_views_and_partitions_are_masked_by_name_and_the_rest_is_not() {
    let world = world("mask_columns").await;
    let client = world.client().await;
    for (sql, expected) in [
        ("select id, name from mask_columns.people where id = 0", "0|REDACTED"),
        ("select name as id from mask_columns.people_1 where id = 0", "REDACTED"),
        ("select one, shown from mask_columns.names where one = 1", "1|REDACTED"),
        ("select id, name from mask_columns.loud where id = 1", "REDACTED"),
        ("select it from mask_columns.kept limit 1", "REDACTED"),
        ("select p.name from (select * from mask_columns.people) p limit 1", "REDACTED"),
        ("with p as (select name from mask_columns.people) select * from p limit 1", "REDACTED"),
        ("select card, number, note from mask_columns.people where id = 0", "411111******1111|NULL|"),
        ("select relname from pg_class where relname = 'people_1' limit 1", "people_1"),
        ("select 1 as one, 'x' as two", "1|x"),
    ] {
        let found = values(&client, sql).await;
        assert!(
            found.first().is_some_and(|row| row.starts_with(expected) || row.ends_with(expected)),
            "{sql}: {found:?}"
        );
    }
    let masked = values(&client, "delete from mask_columns.people where id = 9 returning name").await;
    assert_eq!(masked.len(), 0);
    nothing_on_record(&world);
}

/// What a statement read comes back where another put it: a sequence, an activity, a lock. And a child's rule holds in its parent.
#[tokio::test]
async fn what_statements_fill_is_masked_and_so_is_a_child_within_its_parent() {
    let setup = "drop schema if exists mask_filled cascade; create schema mask_filled; \
        create table mask_filled.all_people (id int8, name text); create sequence mask_filled.numbers; \
        create table mask_filled.staff () inherits (mask_filled.all_people); \
        insert into mask_filled.all_people values (41118811, 'a guest'); \
        insert into mask_filled.staff values (41119911, 'Ada Lovelace')";
    direct().await.batch_execute(setup).await.unwrap();
    let rules = r#"
        computed = "mask"
        rules = [
            { name = "ids", column = "mask_filled.all_people.id", action = "redact" },
            { name = "names", column = "mask_filled.staff.name", action = "redact" },
        ]
    "#;
    let world = World::start(|fake| fake.masks = Some(rules.to_owned())).await;
    let client = world.client().await;
    let put = "select setval('mask_filled.numbers', id), pg_advisory_lock(id), set_config('application_name', id::text, false), \
        set_config('work_mem', '41118811', false) from mask_filled.all_people where id = 41118811";
    values(&client, put).await;
    for sql in [
        "select last_value from mask_filled.numbers",
        "select last_value from pg_sequences where schemaname = 'mask_filled'",
        "select objid from pg_locks where locktype = 'advisory'",
        "select application_name from pg_stat_activity where pid = pg_backend_pid()",
        "select setting from pg_settings where name = 'work_mem'",
        "select name from mask_filled.all_people",
        "select name from mask_filled.staff",
    ] {
        let found = values(&client, sql).await;
        assert!(!found.is_empty() && found.iter().all(|value| value == "REDACTED"), "{sql}: {found:?}");
    }
    let shown = values(&client, "select relname from pg_class where relname = 'staff' limit 1").await;
    assert_eq!(shown, ["staff"]);
}

#[tokio::test]
async fn prepared_statements_are_masked_in_text_and_binary_however_often_they_run() {
    let world = world("mask_prepared").await;
    let client = world.client().await;
    let statement =
        client.prepare("select name, card, number, raw from mask_prepared.people where id = $1").await.unwrap();
    let ask = async |id: i64| client.query_one(&statement, &[&id]).await;
    for _ in 0..3 {
        let rows = future::try_join_all([ask(0), ask(1), ask(2)]).await.unwrap();
        for (row, card) in rows.iter().zip(CARDS) {
            assert_eq!(row.get::<_, &str>(0), "REDACTED");
            assert!(row.get::<_, &str>(1).starts_with(card.get(..6).unwrap()) && row.get::<_, &str>(1).contains("***"));
            assert_eq!(row.get::<_, Option<i64>>(2), None, "a number cannot be starred");
            assert_eq!(leaked(row.get::<_, Option<&[u8]>>(3).unwrap_or_default()), None);
        }
    }
    let arrays = client.query_one("select array_agg(card), array_agg(number) from mask_prepared.people", &[]).await;
    let arrays = arrays.unwrap();
    assert!(
        arrays
            .try_get::<_, Option<Vec<String>>>(0)
            .unwrap()
            .is_none_or(|cards| leaked(&cards.concat().into_bytes()).is_none())
    );
    nothing_on_record(&world);
}

/// A portal that is read piece by piece while other statements run.
#[tokio::test]
async fn portals_and_cursors_are_masked_piece_by_piece() {
    let world = world("mask_portals").await;
    let mut raw = world.raw().await;
    raw.ask("begin").await;
    let parse = |name: &str, sql: &str| message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat());
    let bind = |portal: &str, name: &str, binary: bool| {
        let tail: &[u8] = if binary { b"\0\0\0\0\0\0\x01\0\x01" } else { b"\0\0\0\0\0\0\0" };
        message(b'B', &[portal.as_bytes(), b"\0", name.as_bytes(), tail].concat())
    };
    let execute = |portal: &str| message(b'E', &[portal.as_bytes(), b"\0\0\0\0\x01"].concat());
    let sync = message(b'S', b"");
    let sql = "select name, card, number, name from mask_portals.people order by id";
    // Never described: masked as if every rule applied.
    raw.send(&[parse("", sql), bind("", "", false), execute(""), sync.clone()].concat()).await.unwrap();
    let mut all = raw.frames_to(b'Z').await;
    let describe = message(b'D', b"Sit\0");
    raw.send(&[parse("it", sql), describe, bind("a", "it", true), bind("b", "it", false), sync.clone()].concat())
        .await
        .unwrap();
    all.extend(raw.frames_to(b'Z').await);
    raw.send(&[message(b'C', b"Sit\0"), sync.clone()].concat()).await.unwrap();
    all.extend(raw.frames_to(b'Z').await);
    for _ in 0..3 {
        raw.send(&[execute("a"), execute("b"), sync.clone()].concat()).await.unwrap();
        let frames = raw.frames_to(b'Z').await;
        let rows: Vec<_> = frames.iter().filter(|frame| frame.tag == b'D').collect();
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.body.starts_with(b"\0\x04\0\0\0\x08REDACTED")), "{rows:?}");
        all.extend(raw.ask("select id from mask_portals.people limit 1").await);
        all.extend(frames);
    }
    for sql in [
        "declare c cursor for select * from mask_portals.people; fetch 2 from c; fetch all from c",
        "declare d binary cursor for select * from mask_portals.people; fetch all from d",
        "commit",
    ] {
        all.extend(raw.ask(sql).await);
    }
    let rows = all.iter().filter(|frame| frame.tag == b'D').count();
    assert_eq!(rows, 1 + 3 * 3 + 6);
    assert_eq!(leaked(&all.iter().flat_map(|frame| frame.body.clone()).collect::<Vec<u8>>()), None);
    nothing_on_record(&world);
}

#[tokio::test]
async fn a_number_that_is_redacted_is_described_as_text_from_the_first_description_on() {
    people("mask_retyped").await;
    let rules = "rules = [{ name = \"numbers\", column = \"mask_retyped.people.number\", action = \"partial\" }]";
    let world = World::start(|fake| fake.masks = Some(rules.to_owned())).await;
    let client = world.client().await;
    let sql = "select id, number, number + 0 from mask_retyped.people where card = $1";
    let prepared = client.prepare(sql).await.unwrap();
    let types: Vec<&str> = prepared.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(types, ["int8", "text", "int8"], "an expression has no column");
    for card in CARDS {
        let row = client.query_one(&prepared, &[&card]).await.unwrap();
        let (first, last) = (card.get(..6).unwrap(), card.get(card.len() - 4..).unwrap());
        let shown = format!("{first}{}{last}", "*".repeat(card.len() - 10));
        assert_eq!(row.get::<_, &str>(1), shown);
        assert_eq!(row.get::<_, i64>(2).to_string(), card, "`computed` is `detect`, and no detector is asked for");
    }
    let written = values(&client, "select number from mask_retyped.people where id = 0").await;
    assert_eq!(written, ["411111******1111"]);
}

/// A client that never asks what a statement's columns are.
#[tokio::test]
async fn rows_that_nobody_described_are_masked_by_what_they_hold() {
    people("mask_undescribed").await;
    let rules = "rules = [{ name = \"cards\", detector = \"pan\", action = \"redact\" }]";
    let world = World::start(|fake| fake.masks = Some(rules.to_owned())).await;
    let mut raw = world.raw().await;
    let sql = b"\0select card, number, note, raw, array[number], array[card] from mask_undescribed.people\0\0\0";
    for formats in [
        b"\0\0\0\0\0\0\0\0".as_slice(),
        b"\0\0\0\0\0\0\0\x01\0\x01",
        b"\0\0\0\0\0\0\0\x06\0\0\0\x01\0\x01\0\x01\0\x01\0\x01",
    ] {
        let batch = [message(b'P', sql), message(b'B', formats), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")];
        raw.send(&batch.concat()).await.unwrap();
        let frames = raw.frames_to(b'Z').await;
        assert_eq!(frames.iter().filter(|frame| frame.tag == b'D').count(), 3, "{frames:?}");
        let all: Vec<u8> = frames.iter().flat_map(|frame| frame.body.clone()).collect();
        assert_eq!(leaked(&all), None, "{formats:?}");
    }
    nothing_on_record(&world);
}

#[tokio::test]
async fn copies_are_masked_in_each_format() {
    let world = world("mask_copies").await;
    let client = world.client().await;
    for options in
        ["", "(format csv, header)", "(format binary)", "(format csv, delimiter ';', force_quote *)", "(delimiter '|')"]
    {
        for what in [
            "mask_copies.people_1",
            "(select name, card, number, number::numeric, array[number], number::float8 from mask_copies.people)",
        ] {
            let sql = format!("copy {what} to stdout {options}");
            let pieces = client.copy_out(&sql).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(leaked(&pieces.concat()), None, "{sql}");
            assert_eq!(values(&client, "select 7").await, ["7"], "the session goes on after {sql}");
        }
    }
    let copied = async |sql: &str| {
        let pieces = client.copy_out(sql).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        String::from_utf8(pieces.concat()).unwrap()
    };
    let named = copied("copy mask_copies.people_1 (id, name, card) to stdout").await;
    assert!(named.starts_with("0\tREDACTED\t411111******1111\n"), "{named}");
    let all = copied("COPY mask_copies.people_1 TO STDOUT WITH (FORMAT csv)").await;
    assert!(all.starts_with("0,REDACTED,411111******1111,"), "{all}");
    let unread = copied("copy (select id, name from mask_copies.people) to stdout").await;
    assert!(unread.starts_with("REDACTED\tREDACTED\n"), "{unread}");
    nothing_on_record(&world);
}

#[tokio::test]
async fn errors_notices_notifications_and_plans_tell_nothing() {
    let world = world("mask_words").await;
    let mut raw = world.raw().await;
    let mut all = Vec::new();
    for sql in [
        "insert into mask_words.people values (0, 'Ada Lovelace', '4111111111111111', 1, null, null)",
        "insert into mask_words.people select 0, name, card from mask_words.people",
        "select name::int from mask_words.people",
        "select card::date from mask_words.people",
        "select mask_words.told(1)",
        "listen words; notify words, '4111111111111111'",
        "do $$ begin raise exception 'card %', '5555555555554444'; end $$",
        "explain (analyze, verbose) select * from mask_words.people where card = '4111111111111111'",
        "set application_name to 'card 4111111111111111'",
    ] {
        let frames = raw.ask(sql).await;
        assert!(frames.len() > 1, "{sql}");
        all.extend(frames);
    }
    for tag in *b"ENAS" {
        assert!(all.iter().any(|frame| frame.tag == tag), "`{}` came", char::from(tag));
    }
    assert_eq!(leaked(&all.iter().flat_map(|frame| frame.body.clone()).collect::<Vec<u8>>()), None);
    nothing_on_record(&world);
}

#[tokio::test]
async fn what_a_session_makes_is_masked_as_if_every_rule_applied() {
    let world = world("mask_made").await;
    let client = world.client().await;
    let before = client.prepare("select one, shown from mask_made.names where one = 0").await.unwrap();
    assert_eq!(client.query_one(&before, &[]).await.unwrap().get::<_, i64>(0), 0);
    client
        .batch_execute("create temporary table mine as select name as n, 'x'::text as x from mask_made.people")
        .await
        .unwrap();
    assert_eq!(values(&client, "select n, x from mine limit 1").await, ["REDACTED|REDACTED"], "a table of its own");
    client
        .batch_execute("begin; create or replace view mask_made.names as select id as one, coalesce(name, '') as shown from mask_made.people")
        .await
        .unwrap();
    assert_eq!(client.query_one(&before, &[]).await.unwrap().try_get::<_, Option<i64>>(0).unwrap(), None);
    assert_eq!(values(&client, "select shown from mask_made.names limit 1").await, ["REDACTED"]);
    client.batch_execute("rollback").await.unwrap();
    let other = world.client().await;
    assert_eq!(values(&other, "select one, shown from mask_made.names where one = 0").await, ["0|REDACTED"]);
    nothing_on_record(&world);
}

/// What one session changes holds for the others that run, too.
#[tokio::test]
async fn a_view_that_another_session_replaces_is_not_taken_for_what_it_was() {
    let world = world("mask_replaced").await;
    let (one, other) = (world.client().await, world.client().await);
    let sql = "select plain from mask_replaced.turned order by plain limit 1";
    other
        .batch_execute("create view mask_replaced.turned as select id::text as plain from mask_replaced.people")
        .await
        .unwrap();
    let (one, other) = (again(&world, one).await, again(&world, other).await);
    let before = one.prepare(sql).await.unwrap();
    assert_eq!(one.query_one(&before, &[]).await.unwrap().get::<_, &str>(0), "0");
    other.batch_execute("create temporary table mine (n int); drop table mine").await.unwrap();
    assert_eq!(values(&one, sql).await, ["0"], "a table more or less changes nothing");
    other
        .batch_execute("create or replace view mask_replaced.turned as select name as plain from mask_replaced.people")
        .await
        .unwrap();
    assert_eq!(one.query_one(&before, &[]).await.unwrap().get::<_, Option<&str>>(0).unwrap_or("REDACTED"), "REDACTED");
    assert_eq!(values(&one, sql).await, ["REDACTED"]);
    assert_eq!(
        values(&one, "select id from mask_replaced.people where id = 0").await,
        ["REDACTED"],
        "nothing is known"
    );
    let third = world.client().await;
    assert_eq!(values(&third, "select id, name from mask_replaced.people where id = 0").await, ["0|REDACTED"]);
    assert_eq!(
        values(&one, "select id, name from mask_replaced.people where id = 0").await,
        ["0|REDACTED"],
        "it learns from others"
    );
    nothing_on_record(&world);
}

/// One whose workload sees everything is no exception.
#[tokio::test]
async fn a_view_that_an_unmasked_session_replaces_is_not_taken_for_what_it_was() {
    let world = world("mask_turned").await;
    direct()
        .await
        .batch_execute("create view mask_turned.turned as select id::text as plain from mask_turned.people")
        .await
        .unwrap();
    let one = world.client().await;
    let sql = "select plain from mask_turned.turned order by plain limit 1";
    assert_eq!(values(&one, sql).await, ["0"]);
    world.fake.unmasked.store(true, Ordering::SeqCst);
    let other = world.client().await;
    world.fake.unmasked.store(false, Ordering::SeqCst);
    for (change, shown) in [
        ("select 1", "0"),
        ("create table mask_turned.more (n int)", "0"),
        ("create or replace view mask_turned.turned as select name as plain from mask_turned.people", "REDACTED"),
    ] {
        other.batch_execute(change).await.unwrap();
        assert_eq!(values(&one, sql).await, [shown], "{change}");
    }
    let third = world.client().await;
    assert_eq!(values(&third, "select id, plain from mask_turned.people, mask_turned.turned limit 1").await.len(), 1);
    assert_eq!(values(&third, sql).await, ["REDACTED"]);
}

/// A session that has asked for the catalog anew.
async fn again(world: &World, old: tokio_postgres::Client) -> tokio_postgres::Client {
    drop(old);
    world.client().await
}

#[tokio::test]
async fn a_long_value_is_masked_and_a_longer_one_does_not_pass() {
    let world = world("mask_long").await;
    let client = world.client().await;
    let long = "select repeat('-', 1000000) || card || repeat('-', 1000000) from mask_long.people";
    let found = values(&client, long).await;
    assert!(found.len() == 3 && found[0].len() > 2_000_000 && leaked(found.concat().as_bytes()).is_none());
    let longer = "select repeat('-', 9000000) || card from mask_long.people limit 1";
    match client.simple_query(longer).await {
        Ok(answer) => assert_eq!(leaked(format!("{answer:?}").as_bytes()), None),
        Err(error) => assert!(error.is_closed() || error.as_db_error().is_some(), "{error}"),
    }
    nothing_on_record(&world);
}

#[tokio::test]
async fn settings_under_which_texts_are_read_otherwise_end_the_session() {
    let world = world("mask_settings").await;
    for sql in ["set client_encoding to 'LATIN1'", "set standard_conforming_strings to off"] {
        let mut raw = world.raw().await;
        raw.send(&query(&format!("{sql}; select name from mask_settings.people"))).await.unwrap();
        let frames = raw.rest().await;
        let last = frames.last().unwrap();
        assert!(last.tag == b'E' && last.field(b'M').contains("masked"), "{last:?}");
        assert!(frames.iter().all(|frame| frame.tag != b'D'));
    }
    let refused = login_with(world.port(), "client_encoding", "LATIN1").await;
    assert!(refused.field(b'M').contains("masked") || refused.field(b'M').contains("client_encoding"), "{refused:?}");
}

/// What a login with a startup parameter ends with.
async fn login_with(port: u16, name: &str, value: &str) -> crate::world::raw::Frame {
    let mut raw = Raw::connect(port).await.unwrap();
    let body =
        [b"\0\x03\0\0user\0pay\0database\0postgres\0", name.as_bytes(), b"\0", value.as_bytes(), b"\0\0"].concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    raw.send(&[&length.to_be_bytes()[..], &body].concat()).await.unwrap();
    assert_eq!(raw.frame().await.unwrap().tag, b'R');
    let token = [crate::world::evidence::TOKEN.as_bytes(), b"\0"].concat();
    raw.send(&message(b'p', &token)).await.unwrap();
    raw.rest().await.pop().unwrap()
}
