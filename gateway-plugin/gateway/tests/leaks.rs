//! The proof that nothing planted comes back: each type that can hold a card number, on each way back, in each format.
//!
//! What a workload dresses up on purpose (other encodings, halves, arithmetic) is another matter: docs/masking.md lists it.

use crate::world::raw::{Frame, Raw, message};
use crate::world::{World, direct};

const CARD: &str = "4111111111111111";
const NAME: &str = "Ada Lovelace";

/// Card numbers wherever they are.
const CARDS: &str = r#"
    rules = [{ name = "cards", detector = "pan", action = "ACTION" }]
"#;
/// A column, and whatever is computed.
const NAMES: &str = r#"
    computed = "mask"
    rules = [{ name = "names", column = "leaks.people.name", action = "ACTION" }]
"#;

/// What holds the card number of `leaks.people p`.
const OF_CARD: [&str; 37] = [
    "card",
    "card::varchar(30)",
    "card::char(30)",
    "card::name",
    "card::leaks.words",
    "number::leaks.numbers",
    "'4111111111111111'::leaks.labels",
    "number",
    "number::numeric",
    "number::numeric(20, 2)",
    "number::text::xid8",
    "array[card]",
    "array[number]",
    "array[number::numeric]",
    "array[[card, 'x'], ['y', card]]",
    "array[card::leaks.words]",
    "row(1, card)",
    "row(number, null)",
    "row(row(number::numeric))",
    "array[row(card)]",
    "row(1, card)::leaks.pair",
    "array[row(1, card)::leaks.pair]",
    "row(array[number])",
    "p",
    "array[p]",
    "jsonb_build_object('card', card)",
    "json_build_object('card', number)",
    "to_jsonb(number)",
    "jsonb_build_array(1, jsonb_build_object(card, null))",
    "xmlelement(name x, card)",
    "int8range(number, number + 1)",
    "numrange(number, null)",
    "array[int8range(number, number + 1)]",
    "int8multirange(int8range(number, number + 1))",
    "to_tsvector('simple', card)",
    "('$.\"' || card || '\"')::jsonpath",
    "'<card>' || card || '</card>'",
];

/// What holds it as digits only for whoever knows the type: without it, PostgreSQL's text for them is in hexadecimal or has an exponent,
/// which no detector reads.
const TYPED: [&str; 3] = ["number::float8", "array[number::float8]", "card::bytea"];

/// What holds the name.
const OF_NAME: [&str; 12] = [
    "name",
    "upper(name)",
    "name || ''",
    "coalesce(nullif(name, 'x'), 'y')",
    "array[name]",
    "row(name)",
    "p",
    "to_jsonb(p)",
    "substring(name from 1 for 20)",
    "(select x.name from leaks.people x limit 1)",
    "(select string_agg(x.name, ', ') from leaks.people x)",
    "case when true then name end",
];

const SETUP: &str = "drop schema if exists leaks cascade; create schema leaks; \
    create domain leaks.words as text; create domain leaks.numbers as int8; \
    create type leaks.labels as enum ('4111111111111111', 'x'); create type leaks.pair as (id int, card text); \
    create table leaks.people (id int8 primary key, name text, card text, number int8); \
    insert into leaks.people values (1, 'Ada Lovelace', '4111111111111111', 4111111111111111)";

/// Every form in which it may stand there.
fn forms(planted: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![planted.as_bytes().to_vec(), planted.to_uppercase().into_bytes()];
    forms.push(planted.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    if let Ok(number) = planted.parse::<i64>() {
        forms.push(number.to_be_bytes().to_vec());
        forms.push((number as f64).to_be_bytes().to_vec());
        forms.push([4111_u16, 1111, 1111, 1111].map(u16::to_be_bytes).concat());
    }
    forms
}

/// What came and holds it, with signs that stand between digits left out too.
fn leak(planted: &str, bytes: &[u8]) -> bool {
    let bare: Vec<u8> = bytes.iter().copied().filter(|byte| !b".-, ".contains(byte)).collect();
    let holds = |whole: &[u8], part: &[u8]| whole.windows(part.len()).any(|window| window == part);
    forms(planted).iter().any(|form| holds(bytes, form)) || holds(&bare, planted.replace(' ', "").as_bytes())
}

/// A client that notes what leaks.
struct Prober {
    raw: Raw,
    planted: &'static str,
    leaks: Vec<String>,
    rows: usize,
}

impl Prober {
    fn saw(&mut self, what: &str, expression: &str, frames: &[Frame]) {
        self.rows += frames.iter().filter(|frame| matches!(frame.tag, b'D' | b'd')).count();
        for frame in frames {
            if leak(self.planted, &frame.body) {
                let shown = String::from_utf8_lossy(&frame.body).chars().take(160).collect::<String>();
                self.leaks.push(format!("{what} of {expression}: {} {shown:?}", char::from(frame.tag)));
            }
        }
    }

    async fn simple(&mut self, what: &str, expression: &str, sql: &str) -> bool {
        let frames = self.raw.ask(sql).await;
        self.saw(what, expression, &frames);
        frames.iter().all(|frame| frame.tag != b'E')
    }

    async fn extended(&mut self, what: &str, expression: &str, describe: &[u8], binary: bool) {
        let sql = format!("select {expression} from leaks.people p");
        let parse = message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
        let bind: &[u8] = if binary { b"\0\0\0\0\0\0\0\x01\0\x01" } else { b"\0\0\0\0\0\0\0\0" };
        let (statement, portal): (&[u8], &[u8]) = if describe == b"S" { (b"S\0", b"") } else { (b"", describe) };
        let describe =
            |what: &[u8]| if what.is_empty() { Vec::new() } else { message(b'D', &[&what[..1], b"\0"].concat()) };
        let batch = [
            parse,
            describe(statement),
            message(b'B', bind),
            describe(portal),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.raw.send(&batch.concat()).await.unwrap();
        let frames = self.raw.frames_to(b'Z').await;
        self.saw(what, expression, &frames);
    }

    /// Everything that a session can do to get at the value of an expression. Types without a binary form fail in it.
    async fn all(&mut self, expression: &str) {
        let select = format!("select {expression} as v from leaks.people p");
        assert!(self.simple("a query", expression, &select).await, "{select}");
        for (what, describe) in [("a statement", b"S".as_slice()), ("a portal", b"P"), ("what nobody described", b"")] {
            if !(TYPED.contains(&expression) && describe.is_empty()) {
                self.extended(&format!("{what} in text"), expression, describe, false).await;
            }
            self.extended(&format!("{what} in binary"), expression, describe, true).await;
        }
        for kind in ["", "binary"] {
            let cursor = format!("begin; declare c {kind} cursor for {select}; fetch all from c; close c; commit");
            self.simple(&format!("a {kind} cursor"), expression, &cursor).await;
            self.simple("the end", expression, "rollback").await;
        }
        self.simple("an execution", expression, &format!("prepare it as {select}; execute it; deallocate it")).await;
        self.simple("a binary copy", expression, &format!("copy ({select}) to stdout (format binary)")).await;
        if !TYPED.contains(&expression) {
            self.untyped(expression, &select).await;
        }
    }

    /// The same where its type is lost.
    async fn untyped(&mut self, expression: &str, select: &str) {
        for options in [
            "",
            "(format csv)",
            "(format csv, delimiter ';', quote '''', force_quote *)",
            "(format binary)",
            "(delimiter '|')",
        ] {
            self.simple(&format!("a copy {options}"), expression, &format!("copy ({select}) to stdout {options}"))
                .await;
        }
        for (what, sql) in [
            ("a notice", "do $$ begin raise notice 'it is: %', (SELECT)::text using detail = (SELECT)::text; end $$"),
            ("an exception", "do $$ begin raise exception '%', (SELECT)::text using hint = (SELECT)::text; end $$"),
            ("a cast", "select (SELECT)::text::date"),
            ("a notification", "listen x; select pg_notify('x', (SELECT)::text)"),
            ("a parameter", "select set_config('application_name', (SELECT)::text, false)"),
            ("union", "SELECT union all SELECT"),
            ("an aggregate", "select max(v::text), array_agg(v::text) from (SELECT) t"),
        ] {
            let sql = sql.replace("(SELECT)::text", &format!("(select v::text from ({select}) t)"));
            self.simple(what, expression, &sql.replace("SELECT", select)).await;
        }
        for kind in ["table", "view"] {
            let made = &format!("temporary {kind}");
            if self.simple(made, expression, &format!("create {made} made as {select}")).await {
                self.simple(made, expression, "select v, v::text from made").await;
                self.simple(made, expression, &format!("drop {kind} made")).await;
            }
        }
    }
}

async fn probe(rules: &str, planted: &'static str, expressions: &[&str]) {
    for action in ["partial", "null", "token", "format-preserving", "drop-row"] {
        let rules = rules.replace("ACTION", action);
        let world = World::start(|fake| fake.masks = Some(rules.clone())).await;
        let (mut leaks, mut rows) = (Vec::new(), 0);
        for expression in expressions {
            let mut prober = Prober { raw: world.raw().await, planted, leaks: Vec::new(), rows: 0 };
            prober.all(expression).await;
            leaks.append(&mut prober.leaks);
            rows += prober.rows;
        }
        assert!(leaks.is_empty(), "{action}: {} leaks:\n{}", leaks.len(), leaks.join("\n"));
        assert!(action == "drop-row" || rows > expressions.len() * 10, "{rows} rows came");
        assert!(!leak(planted, &world.fake.flowed.lock().unwrap()), "{action}: it is on record");
    }
}

#[tokio::test]
async fn no_planted_value_comes_back_on_any_way() {
    direct().await.batch_execute(SETUP).await.unwrap();
    probe(CARDS, CARD, &[OF_CARD.as_slice(), &TYPED].concat()).await;
    probe(NAMES, NAME, &OF_NAME).await;
}

/// What is planted is found where nothing masks it.
#[tokio::test]
async fn the_search_finds_what_is_planted() {
    let world = World::start(|_| {}).await;
    let number = format!(
        "select '{CARD}'::text, {CARD}::float8, '{CARD}'::bytea, array[{CARD}::numeric], '4111-1111 1111.1111'"
    );
    let mut raw = world.raw().await;
    let rows: Vec<Frame> = raw.ask(&number).await.into_iter().filter(|frame| frame.tag == b'D').collect();
    assert!(rows.iter().any(|row| leak(CARD, &row.body)) && !leak(CARD, b"411111******1111 4111111111111112"));
    for part in
        [&CARD.parse::<i64>().unwrap().to_be_bytes()[..], b"4.111111111111111e+15", b"34313131313131313131313131313131"]
    {
        assert!(leak(CARD, part));
    }
}
