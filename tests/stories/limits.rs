//! Limits on rows hold however a statement is sent, executed or fetched from.

use writ_world::stack::{Stack, printed};

use super::clients::{fetched, program};

const POLICY: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands") @uses("100")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("all") @rows("10")
permit (principal is Writ::Workload, action in Writ::Action::"sql", resource in Writ::Target::"payments");
"#;

fn limited() -> Stack {
    let stack = Stack::start_with(&[], |_, at, configuration| {
        std::fs::write(at.join("policies/workload.cedar"), POLICY).map_err(|error| error.to_string())?;
        Ok(configuration)
    })
    .unwrap();
    stack.superuser("create table notes (n int); grant all on notes to app").unwrap();
    stack
}

#[test]
fn no_statement_has_more_rows_than_policy_allows() {
    let stack = limited();
    let psql = |statement: &str| stack.psql(&stack.token().unwrap(), statement).unwrap();
    let many = "select n from generate_series(1, 11) n";
    let few = "select n from generate_series(1, 6) n";
    for good in [
        few.to_owned(),
        format!("{few}; {few}"),
        format!(
            "begin; declare c cursor for {few}; fetch all from c; close c; declare c cursor for {few}; fetch all from c"
        ),
        "insert into notes select n from generate_series(1, 10) n".to_owned(),
        "with t as (select n from notes) select count(*) from t".to_owned(),
    ] {
        psql(&good).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for bad in [
        many.to_owned(),
        format!("select 1; {many}"),
        format!("begin; declare c cursor for {many}; fetch 6 from c; fetch 6 from c"),
        format!("declare c cursor with hold for {many}; fetch 6 from c; fetch all from c"),
        "insert into notes select n from generate_series(1, 11) n".to_owned(),
        "with gone as (delete from notes returning n) select count(*) from gone".to_owned(),
        "explain analyze delete from notes".to_owned(),
        format!("copy ({many}) to stdout"),
    ] {
        let error = psql(&bad).expect_err(&bad);
        assert!(error.contains("rows"), "{bad}: {error}");
    }
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    let prepare = "prepare p as with gone as (delete from notes returning n) select count(*) from gone";
    let said = psql.args(["-X", "-c", prepare, "-c", "execute p"]).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("rows"), "{said:?}");
    // What changed too much is known once it has: its session ended, the rows stay.
    assert_eq!(stack.superuser("select count(*) from notes").unwrap().trim(), "21");
}

#[test]
fn a_portal_that_is_executed_in_parts_has_no_more_rows() {
    let (stack, python) = (limited(), fetched("venv").unwrap().join("bin/python"));
    let said = printed(stack.client(&python, &stack.session_token().unwrap()).arg(program("asyncpg_limits.py")));
    assert_eq!(said.unwrap().trim(), "whole parts over");
}
