//! What policy says of SQL, through the real binary: verdicts on each statement, in both protocols, in and out of transactions.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use writ_world::stack::{Stack, printed};

use super::clients::{fetched, program};

/// What the workload may do: read and write `notes`, read `orders` but for one column, transactions; nothing else.
const POLICY: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("expressions")
permit (principal is Writ::Workload, action in [Writ::Action::"sql:select", Writ::Action::"sql:transaction",
    Writ::Action::"sql:show", Writ::Action::"sql:prepared", Writ::Action::"sql:copy_out"], resource == Writ::Target::"payments");

@id("path")
permit (principal is Writ::Workload, action == Writ::Action::"sql:set", resource == Writ::Target::"payments")
when { ["search_path", "application_name", "extra_float_digits", "standard_conforming_strings"].containsAll(context.settings) };

@id("notes")
permit (principal is Writ::Workload, action in [Writ::Action::"sql:select", Writ::Action::"sql:insert",
    Writ::Action::"sql:copy_out", Writ::Action::"sql:explain"], resource in Writ::Relation::"payments/public.notes");

@id("orders")
permit (principal is Writ::Workload, action == Writ::Action::"sql:select", resource in Writ::Relation::"payments/public.orders");

@id("no-cards")
forbid (principal, action in Writ::Action::"sql", resource == Writ::Column::"payments/public.orders.card");
"#;

const TABLES: &str = "create table notes (n int); create table orders (id int, card text); create schema own; \
     create table own.notes (n int); insert into orders values (1, '4111111111111111'); \
     grant usage on schema own to app; grant all on notes, orders, own.notes to app";

pub(super) fn governed() -> Result<Arc<Stack>, String> {
    static STACK: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut known = STACK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = known.upgrade() {
        return Ok(running);
    }
    let stack = Stack::start_with(&[], |_, at, configuration| {
        std::fs::write(at.join("policies/workload.cedar"), POLICY).map_err(|error| error.to_string())?;
        Ok(configuration)
    })?;
    stack.superuser(TABLES)?;
    let stack = Arc::new(stack);
    *known = Arc::downgrade(&stack);
    Ok(stack)
}

fn allowed(stack: &Stack, statement: &str) -> String {
    stack.psql(&stack.token().unwrap(), statement).unwrap().unwrap_or_else(|error| panic!("{statement}: {error}"))
}

fn denied(stack: &Stack, statement: &str) -> String {
    let outcome = stack.psql(&stack.token().unwrap(), statement).unwrap();
    let error = outcome.expect_err(statement);
    assert!(error.contains("writ"), "{error}");
    error
}

#[test]
fn what_is_permitted_goes_through_and_all_else_says_by_which_policy_it_does_not() {
    let stack = governed().unwrap();
    allowed(&stack, "insert into notes values (1)");
    assert_eq!(allowed(&stack, "select count(*) >= 0 from notes n where n.n < 5 or n.n is null").trim(), "t");
    assert_eq!(allowed(&stack, "select id from orders").trim(), "1");
    assert_eq!(allowed(&stack, "select 1 + 1").trim(), "2");
    let error = denied(&stack, "drop table notes");
    assert!(error.contains("no policy permits `sql:ddl` on `payments/public.notes`"), "{error}");
    let error = denied(&stack, "select * from orders");
    assert!(error.contains("policy `no-cards` forbids `sql:select` on `payments/public.orders.card`"), "{error}");
    assert!(error.contains("HINT") && error.contains("the writ is "), "{error}");
}

/// Each is a way around the verdict that was tried on some product.
#[test]
fn no_spelling_comes_around_a_verdict() {
    let stack = governed().unwrap();
    for statement in [
        "select card from orders",
        "SELECT\n/* /* nested */ */ CARD FROM Orders",
        "select o.card from orders o",
        "select (o).card from orders o",
        "select o from orders o",
        "select to_jsonb(o) from orders o",
        r#"select "card" from "orders""#,
        r#"select U&"\0063ard" from orders"#,
        "select x from (select card as x from orders) t",
        "with t as (select * from orders) select 1 from t",
        "select 1 where exists (select card from orders)",
        "table orders",
        "copy orders to stdout",
        "copy (select card from orders) to stdout",
        "explain analyze delete from notes",
        "select 1; delete from notes",
        "with gone as (delete from notes returning n) select n from gone",
        "select n into other from notes",
        "create table other as select n from notes",
        "prepare p as delete from notes",
        "execute p",
        "do $$ begin delete from notes; end $$",
        "do $x$ begin execute 'del' || 'ete from notes'; end $x$",
        "call pg_catalog.nothing()",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "select pg_terminate_backend(1)",
        "select set_config('search_path', 'own', false)",
        "select query_to_xml('select card from orders', true, true, '')",
        "select pg_sleep(0)",
        "set role postgres",
        "set session authorization postgres",
        "set standard_conforming_strings = off",
        "set client_encoding = 'SJIS'",
        "set work_mem = '1GB'",
        "set search_path = own; select n from notes",
        "select n from own.notes",
        "update notes set n = 1",
        "truncate notes",
        "lock table notes",
        "select n from notes for update",
        "grant all on notes to public",
        "listen x",
        "select n from only notes; drop table notes",
        "not sql at all",
        "select '\\'; drop table notes; --'",
        "merge into notes using orders o on notes.n = o.id when matched then delete when not matched then insert values (1)",
        "insert into notes select id from orders where card like '4%'",
    ] {
        denied(&stack, statement);
    }
    assert_eq!(stack.superuser("select card from orders").unwrap().trim(), "4111111111111111");
    assert!(stack.superuser("select count(*) from notes").is_ok());
}

#[test]
fn a_path_of_ones_own_cannot_mislead() {
    let stack = governed().unwrap();
    allowed(&stack, "set search_path = public; select n from notes");
    let error = denied(&stack, "begin; set local search_path = own; select n from notes");
    assert!(error.contains("payments/own.notes"), "{error}");
}

#[test]
fn a_function_of_the_databases_own_is_none_that_only_computes() {
    let stack = governed().unwrap();
    stack
        .superuser(
            "create function own.lower(orders) returns text language sql as 'select $1.card'; \
             create function public.number(orders) returns text language sql as 'select $1.card'",
        )
        .unwrap();
    assert_eq!(allowed(&stack, "select lower('A'), upper(o.id::text) from orders o").trim(), "a|1");
    assert_eq!(allowed(&stack, "select o.id from orders o").trim(), "1");
    for statement in [
        "select o.number from orders o",
        "select (o).number from orders o",
        "select (select o from orders o).number",
        "select number(o) from orders o",
        "set search_path = own, pg_catalog; select lower('A')",
        "set search_path = public, own; select o.lower from orders o",
    ] {
        denied(&stack, statement);
    }
}

fn client(name: &str) -> Result<String, String> {
    let (stack, python) = (governed()?, fetched("venv")?.join("bin/python"));
    let token = stack.session_token()?;
    printed(stack.client(&python, &token).arg(program(name)))
}

#[test]
fn a_denial_fails_the_transaction_at_the_server_in_psycopg() {
    let said = client("psycopg_verdicts.py").unwrap();
    assert_eq!(said.trim(), "implicit explicit savepoint pipeline prepared copy");
}

/// A session that policy limits: it reads, and little.
const LIMITED: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands") @uses("100")
@read_only("true") @statement_timeout("1s") @session_rows("100") @statements_per_minute("5")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("all") @rows("10")
permit (principal is Writ::Workload, action in Writ::Action::"sql", resource in Writ::Target::"payments");
"#;

#[test]
fn what_policy_limits_is_limited() {
    let stack = Stack::start_with(&[], |_, at, configuration| {
        std::fs::write(at.join("policies/workload.cedar"), LIMITED).map_err(|error| error.to_string())?;
        Ok(configuration)
    })
    .unwrap();
    stack.superuser("create table notes (n int); grant all on notes to app").unwrap();
    assert_eq!(allowed(&stack, "select n from generate_series(1, 10) n").lines().count(), 10);
    let refused = |statement: &str| stack.psql(&stack.token().unwrap(), statement).unwrap().expect_err(statement);
    let error = refused("select n from generate_series(1, 11) n");
    assert!(error.contains("more rows than policy allows"), "{error}");
    let error = refused("insert into notes values (1)");
    assert!(error.contains("read-only transaction"), "{error}");
    for way_out in [
        "set transaction_read_only = off",
        "begin read write",
        "start transaction isolation level serializable, read write",
        "set session characteristics as transaction read write",
        "set default_transaction_read_only to false",
        "set statement_timeout = 0",
        "select set_config('transaction_read_only', 'off', false)",
        "do $$ begin set default_transaction_read_only = off; end $$",
    ] {
        denied(&stack, way_out);
    }
    let error = refused("with recursive t(n) as (select 1 union all select n + 1 from t) select max(n) from t");
    assert!(error.contains("statement timeout"), "{error}");
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    psql.args(["-X", "-A", "-t"]);
    (0..6).for_each(|number| {
        psql.args(["-c", &format!("select {number}")]);
    });
    let said = psql.output().unwrap();
    let (rows, error) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(rows.lines().collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
    assert!(error.contains("5 statements executed within a minute"), "{error}");
}

#[test]
fn a_denial_fails_the_transaction_at_the_server_in_jdbc() {
    let java = writ_world::packages::need("/usr/bin/java".as_ref(), "`apt-get install default-jre-headless`").unwrap();
    let stack = governed().unwrap();
    let classes = format!("{}:/usr/share/java/postgresql.jar", fetched("java").unwrap().display());
    let mut command = stack.client(&java, &stack.session_token().unwrap());
    let said = printed(command.args(["-cp", &classes, "JdbcVerdicts"])).unwrap();
    assert_eq!(said.trim(), "implicit explicit savepoint batch prepared");
}

/// Rows of `own.notes` may be read, those of `notes` may not: whatever becomes of a change of `search_path`, no name that may mean
/// the latter passes.
const SCHEMA: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands") @uses("100")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("expressions")
permit (principal is Writ::Workload, action in [Writ::Action::"sql:select", Writ::Action::"sql:set", Writ::Action::"sql:show",
    Writ::Action::"sql:transaction", Writ::Action::"sql:cursor", Writ::Action::"sql:prepared"], resource == Writ::Target::"payments");

@id("own")
permit (principal is Writ::Workload, action == Writ::Action::"sql:select", resource in Writ::Relation::"payments/own.notes");

@id("config")
permit (principal is Writ::Workload, action == Writ::Action::"sql:function",
    resource == Writ::Function::"payments/pg_catalog.set_config");
"#;

#[test]
fn no_change_of_the_path_that_may_be_taken_back_misleads() {
    let stack = Stack::start_with(&[], |_, at, configuration| {
        std::fs::write(at.join("policies/workload.cedar"), SCHEMA).map_err(|error| error.to_string())?;
        Ok(configuration)
    })
    .unwrap();
    stack
        .superuser(
            "create schema own; create table notes (n text); create table own.notes (n text); insert into notes values ('hidden'); \
             insert into own.notes values ('open'); grant usage on schema own to app; grant select on notes, own.notes to app",
        )
        .unwrap();
    let token = stack.session_token().unwrap();
    let psql = |texts: &[&str]| {
        let mut psql = stack.client("psql".as_ref(), &token);
        psql.args(["-X", "-A", "-t", "-q"]);
        for text in texts {
            psql.args(["-c", text]);
        }
        let said = psql.output().unwrap();
        let rows = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(!rows.contains("hidden"), "{texts:?}: {rows}");
        rows
    };
    for good in [
        &["set search_path = own", "select n from notes"][..],
        &["begin", "set local search_path = own", "select n from notes"],
        &["begin; set search_path = own; commit; select n from notes"],
        &["begin", "set search_path = own", "commit", "select n from notes"],
        &[
            "begin",
            "set search_path = own",
            "savepoint a",
            "set search_path = public",
            "rollback to a",
            "select n from notes",
        ],
    ] {
        assert!(psql(good).contains("open"), "{good:?}");
    }
    const READ: &str = "select n from notes";
    for bad in [
        &["set search_path = own; rollback; select n from notes"][..],
        &["begin; set search_path = own; rollback; select n from notes"],
        &["begin; set search_path = own; abort; select n from notes"],
        &["begin; savepoint a; set search_path = own; rollback to a; select n from notes"],
        &["set search_path = own; begin; rollback; select n from notes"],
        &["set local search_path = own; commit; select n from notes"],
        &["begin; set local search_path = own; commit; select n from notes"],
        &["set local search_path = own", READ],
        &["begin", "set search_path = own", "rollback", READ],
        &["begin", "set search_path = own", "select 1/0", "commit", READ],
        &["begin", "set search_path = own", "select 1/0", "commit; select n from notes"],
        &["begin", "set search_path = own", "drop table notes", "commit", READ],
        &["set search_path = own; select 1/0", READ],
        &["set search_path = own; drop table notes", READ],
        &[
            "prepare p as select pg_catalog.set_config('search_path', 'public', false)",
            "set search_path = own",
            "execute p",
            READ,
        ],
        &[
            "begin; declare c cursor for select pg_catalog.set_config('search_path', 'public', false)",
            "set search_path = own",
            "fetch c",
            READ,
        ],
    ] {
        assert!(!psql(bad).contains("open"), "{bad:?}");
    }
    let python = fetched("venv").unwrap().join("bin/python");
    let said = printed(stack.client(&python, &token).arg(program("psycopg_paths.py"))).unwrap();
    assert_eq!(said.trim(), "failed rolled-back late denied");
}
