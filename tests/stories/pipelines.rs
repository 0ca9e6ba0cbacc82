//! What clients write without waiting for an answer, against a real server: names that SQL changes behind them, and
//! commands behind a copy.

use super::raw::Raw;
use super::shared;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], u32::try_from(body.len() + 4).unwrap().to_be_bytes().as_slice(), body].concat()
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// What comes back up to the last of `ends` ReadyForQuery: values, tags of completions, codes of errors.
fn said(raw: &mut Raw, sent: &[Vec<u8>], mut ends: usize) -> Vec<String> {
    raw.send(&sent.concat());
    let mut words = Vec::new();
    while ends > 0 {
        let (tag, body) = raw.read().unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        match tag {
            b'D' => words.push(text.split_at(6).1.to_owned()),
            b'C' => words.push(text.trim_end_matches('\0').to_owned()),
            b'E' => words.push(text.split('\0').find_map(|field| field.strip_prefix('C')).unwrap().to_owned()),
            b'Z' => ends -= 1,
            _ => {}
        }
    }
    words
}

#[test]
fn sql_never_gives_another_meaning_to_what_the_protocol_named() {
    let stack = shared().unwrap();
    let mut raw = Raw::session(&stack, &stack.token().unwrap());
    let a = || vec![bind("", "a"), execute(""), sync()];
    let make = vec![parse("a", "select 'first'"), sync()];
    let remade = "deallocate a; prepare a as select 'second'";

    assert_eq!(said(&mut raw, &[make.clone(), a()].concat(), 2), ["first", "SELECT 1"]);
    assert_eq!(
        said(&mut raw, &[vec![query(remade)], a(), vec![query("execute a")]].concat(), 3),
        ["DEALLOCATE", "PREPARE", "26000", "second", "SELECT 1"]
    );

    assert_eq!(said(&mut raw, &[vec![query("deallocate all")], make.clone(), a()].concat(), 3)[1], "first");
    let extended = |text| vec![parse("", text), bind("", ""), execute("")];
    let both = [extended("deallocate a"), extended("prepare a as select 'third'"), a()].concat();
    assert_eq!(said(&mut raw, &both, 1), ["DEALLOCATE", "PREPARE", "26000"]);

    // The transaction's end fails, and with it the completion message of a command that has done its work.
    assert_eq!(said(&mut raw, &[vec![query("deallocate all")], make].concat(), 2), ["DEALLOCATE ALL"]);
    said(&mut raw, &[query("create temp table k (a int unique deferrable initially deferred)")], 1);
    let midway = vec![query(&format!("insert into k values (1), (1); {remade}"))];
    assert_eq!(said(&mut raw, &[midway, a()].concat(), 2), ["INSERT 0 2", "DEALLOCATE", "23505", "26000"]);
}

#[test]
fn what_sql_alone_has_named_is_unknown_and_the_session_goes_on() {
    let stack = shared().unwrap();
    let mut raw = Raw::session(&stack, &stack.token().unwrap());
    assert_eq!(
        said(&mut raw, &[query("prepare s as select 1"), bind("", "s"), execute(""), sync(), query("execute s")], 3),
        ["PREPARE", "26000", "1", "SELECT 1"]
    );
    let declare = query("begin; declare c cursor for select 1");
    assert_eq!(
        said(&mut raw, &[declare, execute("c"), sync(), query("rollback")], 3),
        ["BEGIN", "DECLARE CURSOR", "34000", "ROLLBACK"]
    );
    let replaced = query("close p; declare p cursor for select 'second'");
    assert_eq!(
        said(
            &mut raw,
            &[query("begin"), parse("", "select 'first'"), bind("p", ""), replaced, execute("p"), sync()],
            3
        ),
        ["BEGIN", "CLOSE CURSOR", "DECLARE CURSOR", "34000"]
    );
    assert_eq!(said(&mut raw, &[query("rollback"), query("select 'on'")], 2), ["ROLLBACK", "on", "SELECT 1"]);
}

#[test]
fn commands_behind_a_copy_need_not_wait_for_it() {
    let stack = shared().unwrap();
    let mut raw = Raw::session(&stack, &stack.token().unwrap());
    let (data, done) = (message(b'd', b"1\n"), message(b'c', b""));
    let count = || query("select count(*) from c");
    assert_eq!(said(&mut raw, &[query("create temp table c (a int)")], 1), ["CREATE TABLE"]);

    let copy = [query("copy c from stdin"), data.clone(), done.clone()].concat();
    let sent = [copy.clone(), copy, query("select 'on'"), count()];
    assert_eq!(said(&mut raw, &sent, 4), ["COPY 1", "COPY 1", "on", "SELECT 1", "2", "SELECT 1"]);

    let prepared = |text| [parse("", text), bind("", ""), execute("")].concat();
    let sent = [prepared("copy c from stdin"), data.clone(), done.clone(), prepared("select 'on'"), sync(), count()];
    assert_eq!(said(&mut raw, &sent, 2), ["COPY 1", "on", "SELECT 1", "3", "SELECT 1"]);

    let missing = [query("copy missing from stdin"), data.clone(), done.clone(), count()];
    assert_eq!(said(&mut raw, &missing, 2), ["42P01", "3", "SELECT 1"]);
    let missing = [prepared("copy missing from stdin"), data, done, prepared("select 'off'"), sync(), count()];
    assert_eq!(said(&mut raw, &missing, 2), ["42P01", "3", "SELECT 1"]);
    let broken =
        [query("copy c from stdin"), message(b'd', b"x\n"), message(b'd', b"2\n"), message(b'c', b""), count()];
    assert_eq!(said(&mut raw, &broken, 2), ["22P02", "3", "SELECT 1"]);
}

#[test]
fn a_command_in_the_place_of_copied_data_ends_as_the_server_says() {
    let stack = shared().unwrap();
    let mut raw = Raw::session(&stack, &stack.token().unwrap());
    assert_eq!(said(&mut raw, &[query("create temp table c (a int)")], 1), ["CREATE TABLE"]);
    raw.send(&[query("copy c from stdin"), query("select 'never'")].concat());
    assert_eq!(raw.read().unwrap().0, b'G');
    assert_eq!(raw.refusal()[&'C'], "08P01");
    assert_eq!(raw.refusal()[&'S'], "FATAL");
    while let Ok((tag, _)) = raw.read() {
        assert_eq!(tag, b'E', "nothing but why the session ends");
    }
}
