//! The suite on SQLite, and what is SQLite's alone: file modes, migrations, the order of parameters.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::store::conformance::{Place, suite};
use crate::store::{Change, Request};

impl Place for TempDir {
    fn open(&self) -> Arc<dyn Store> {
        Sqlite::open(&self.path().join("writ.db")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    suite(|| TempDir::new().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_read_any_of_its_files() {
    let place = TempDir::new().unwrap();
    let store = place.open();
    let changes = vec![Change::JoinToken { digest: "d".to_owned(), expires: Timestamp::MAX, serves: Labels::new() }];
    store
        .commit(vec![Request { changes, ..Request::default() }], 0, Box::new(|_, _| Ok(writ_ledger::hash::empty())))
        .await
        .unwrap();
    let mut names = Vec::new();
    for file in std::fs::read_dir(place.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["writ.db", "writ.db-shm", "writ.db-wal"]);
}

#[test]
fn a_migration_that_was_changed_and_a_newer_store_are_refused() {
    for (sql, words) in [
        ("UPDATE migrations SET digest = 'other'", "changed after it ran"),
        ("INSERT INTO migrations (number, digest) VALUES (999, 'x')", "newer version"),
    ] {
        let place = TempDir::new().unwrap();
        let path = place.path().join("writ.db");
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().execute(sql, []).unwrap();
        let fault = Sqlite::open(&path).unwrap_err();
        assert!(fault.0.contains(words), "{fault}");
    }
}

/// `$n` is a name to SQLite, bound by the order of first use: out of order it would silently bind something else.
#[test]
fn parameters_stand_in_ascending_order_of_first_use() {
    let sources =
        [include_str!("read.rs"), include_str!("write.rs"), include_str!("freeze.rs"), include_str!("migrate.rs")];
    let mut statements = 0;
    for text in sources.into_iter().flat_map(string_literals) {
        let mut highest = 0;
        for rest in text.split('$').skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let number: u32 = digits.parse().unwrap_or_else(|_| panic!("`${rest}` is no parameter in: {text}"));
            assert!(number <= highest + 1, "${number} comes before ${} in: {text}", highest + 1);
            highest = highest.max(number);
        }
        statements += u32::from(highest > 0);
    }
    assert!(statements > 30, "the statements were found: {statements}");
}

/// Whoever knows an authority's key may ask: an answer costs what is on it, not what there is.
#[test]
fn ended_certificates_are_found_by_their_index() {
    let place = TempDir::new().unwrap();
    drop(place.open());
    let connection = Connection::open(place.path().join("writ.db")).unwrap();
    let sql = format!("EXPLAIN QUERY PLAN {}", read::ENDED_CERTIFICATES);
    let plan: Vec<String> = read::all(&connection, &sql, [0], |row| row.get(3)).unwrap();
    assert!(plan.iter().any(|step| step.contains("COVERING INDEX writs_ended_certificates (expires>?)")), "{plan:?}");
    assert!(!plan.iter().any(|step| step.contains("SCAN")), "{plan:?}");
}

/// What is in a store of before has its kind too.
#[test]
fn writs_of_before_are_told_by_what_was_minted() {
    let place = TempDir::new().unwrap();
    let mut connection = Connection::open(place.path().join("writ.db")).unwrap();
    migrate::up_to(&mut connection, 5).unwrap();
    let writs = [("null", true), (r#"{"kind":"ssh_certificate"}"#, true), (r#"{"kind":"database_role"}"#, false)];
    let writs = writs.map(|(credential, listed)| (WritId::fresh(), credential, listed));
    for (id, credential, _) in &writs {
        let sql = "INSERT INTO writs (id, session, gateway, state, opened, expires, document, client) \
                   VALUES ($1, $1, 'g', 'closed', 0, 9, $2, '')";
        connection.execute(sql, (id.to_string(), format!(r#"{{"credential":{credential}}}"#))).unwrap();
    }
    migrate::run(&mut connection).unwrap();
    let found = read::ended_certificates(&connection, Timestamp::UNIX_EPOCH).unwrap();
    for (id, credential, listed) in &writs {
        assert_eq!(found.contains(id), *listed, "{credential}");
    }
}

fn string_literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut characters = source.chars();
    while let Some(character) = characters.next() {
        if character != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(inner) = characters.next() {
            match inner {
                '"' => break,
                '\\' => drop(characters.next()),
                other => text.push(other),
            }
        }
        found.push(text);
    }
    found
}

fn bulky(entries: usize, bytes: usize) -> Vec<Request> {
    (0..entries).map(|_| Request { entries: vec![vec![7; bytes]], ..Request::default() }).collect()
}

async fn commit(store: &Sqlite, requests: Vec<Request>) {
    let size = store.head().await.unwrap().size;
    store.commit(requests, size, Box::new(|_, _| Ok(writ_ledger::hash::empty()))).await.unwrap();
}

/// Long enough that it can only begin again because it was copied beside the commits: none of these copies it.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_copied_beside_the_commits_and_begins_again() {
    let place = TempDir::new().unwrap();
    let store = Sqlite::open(&place.path().join("writ.db")).unwrap();
    let pages = async || store.writer.run(|connection| checkpoint::pages(connection)).await.unwrap();
    let mut longest = 0;
    for _ in 0..500 {
        commit(&store, bulky(30, 60_000)).await;
        let now = pages().await;
        if longest > checkpoint::PAGES && now < longest {
            assert!(longest < u64::try_from(checkpoint::MOST_PAGES).unwrap(), "no commit had to copy");
            return;
        }
        longest = longest.max(now);
    }
    panic!("the log only grew, to {longest} pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_is_forgotten_by_later_commits() {
    let place = TempDir::new().unwrap();
    let store = Sqlite::open(&place.path().join("writ.db")).unwrap();
    commit(&store, bulky(100, 10)).await;
    store.applied(90).await.unwrap();
    let count = async || {
        let sql = "SELECT count(*) FROM ledger_entries";
        let count = |connection: &mut Connection| connection.query_row(sql, [], |row| row.get(0));
        store.writer.run(move |connection| count(connection).map_err(|error| fault(&error))).await.unwrap()
    };
    let mut left: Vec<i64> = Vec::new();
    for _ in 0..6 {
        commit(&store, bulky(10, 10)).await;
        left.push(count().await);
    }
    assert_eq!(left, [90, 80, 70, 60, 60, 70], "twice as many as are appended, until only what is not applied is left");
}
