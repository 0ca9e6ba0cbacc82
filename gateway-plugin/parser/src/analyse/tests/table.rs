//! `tests/statements.txt`: each statement and what it does. A change of behaviour is a change of that file.

use std::fmt::Write as _;

use writ_core::statement::{Columns, PreparedStep, QualifiedName, RowsTold, SettingValue, Statement, TransactionStep};
use writ_sql::wire::Answer;

use crate::analyse;

const TABLE: &str = include_str!("../../../tests/statements.txt");

fn name(name: &QualifiedName) -> String {
    name.schema.iter().map(|schema| format!("{schema}.")).collect::<String>() + &name.name
}

fn shown(statement: &Statement) -> String {
    let mut out = String::new();
    for access in &statement.accesses {
        let columns = match &access.columns {
            Columns::Any => "*".to_owned(),
            Columns::Stated(names) => names.join(" "),
        };
        let relation = access.relation.as_ref().map_or_else(|| "-".to_owned(), name);
        write!(out, "{} {relation}({columns}), ", access.kind.as_str()).unwrap();
    }
    for function in &statement.functions {
        write!(out, "calls {}, ", name(function)).unwrap();
    }
    if !statement.selected.is_empty() {
        write!(out, ".{}, ", statement.selected.join(" .")).unwrap();
    }
    if !statement.defines.is_empty() {
        write!(out, "defines {}, ", statement.defines.join(" ")).unwrap();
    }
    for setting in &statement.settings {
        let value = match &setting.value {
            SettingValue::Default => "default".to_owned(),
            SettingValue::Stated(values) => format!("{values:?}"),
            SettingValue::Text(text) => format!("{text:?}"),
            SettingValue::Computed => "?".to_owned(),
        };
        let (may, local) = (if setting.sure { "" } else { "may " }, if setting.local { " local" } else { "" });
        write!(out, "{may}set{local} {}={value}, ", setting.name).unwrap();
    }
    match &statement.transaction {
        None => {}
        Some(TransactionStep::Savepoint(name)) => write!(out, "savepoint {name}, ").unwrap(),
        Some(TransactionStep::Release(name)) => write!(out, "release {name}, ").unwrap(),
        Some(TransactionStep::RollbackTo(name)) => write!(out, "rollback to {name}, ").unwrap(),
        Some(step) => write!(out, "{step:?}, ").unwrap(),
    }
    match &statement.rows {
        RowsTold::Here => {}
        RowsTold::Nowhere => out.push_str("rows untold, "),
        RowsTold::Declared(name) => write!(out, "declares {name}, ").unwrap(),
        RowsTold::Fetched(name) => write!(out, "fetches {name}, ").unwrap(),
        RowsTold::Closed(name) => write!(out, "closes {}, ", name.as_deref().unwrap_or("*")).unwrap(),
    }
    match &statement.prepared {
        None => {}
        Some(PreparedStep::Define(name)) => write!(out, "define {name}, ").unwrap(),
        Some(PreparedStep::Execute(name)) => write!(out, "execute {name}, ").unwrap(),
        Some(PreparedStep::Deallocate(name)) => {
            write!(out, "deallocate {}, ", name.as_deref().unwrap_or("*")).unwrap();
        }
    }
    if statement.unfiltered {
        out.push_str("unfiltered, ");
    }
    if statement.literal && *statement != Statement::unknown() {
        out.push_str("literal, ");
    }
    out.trim_end_matches(", ").to_owned()
}

fn said(text: &str) -> String {
    match analyse(text.as_bytes()) {
        Answer::Unknown(reason) => format!("! {reason}"),
        Answer::Statements(statements) if statements.is_empty() => "nothing".to_owned(),
        Answer::Statements(statements) => statements.iter().map(shown).collect::<Vec<_>>().join(" ; "),
    }
}

#[test]
fn every_statement_does_what_the_table_says() {
    let mut actual = String::new();
    let statements = TABLE.lines().filter(|line| !line.starts_with("  = ") && !line.is_empty());
    for line in statements {
        if line.starts_with('#') {
            writeln!(actual, "{}{line}", if actual.is_empty() { "" } else { "\n" }).unwrap();
        } else {
            write!(actual, "{line}\n  = {}\n", said(line)).unwrap();
        }
    }
    for (line, (expected, found)) in TABLE.lines().zip(actual.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", line + 1);
    }
    assert_eq!(TABLE, actual);
}
