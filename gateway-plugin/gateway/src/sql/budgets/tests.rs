//! No statement has more rows than policy allows, however it is executed.

use writ_core::command::CommandId;
use writ_core::statement::{RowsTold, Statement};
use writ_record::entry::Ending;

use super::Budgets;

fn one(rows: RowsTold) -> Statement {
    Statement { rows, ..Statement::unknown() }
}

fn cursor(name: &str, rows: impl Fn(String) -> RowsTold) -> Statement {
    one(rows(name.to_owned()))
}

fn begin(budgets: &mut Budgets, id: u64, statements: &[Statement], most: Option<u64>) -> CommandId {
    budgets.begins(CommandId(id), statements, most, || true).expect("it may begin");
    CommandId(id)
}

#[test]
fn each_statement_of_a_text_has_its_own_rows() {
    let mut budgets = Budgets::default();
    let id = begin(&mut budgets, 1, &[one(RowsTold::Here), one(RowsTold::Here)], Some(3));
    budgets.add(id, 3).unwrap();
    budgets.came_out(id, Ending::Completed);
    budgets.add(id, 3).unwrap();
    budgets.add(id, 1).unwrap_err();
    budgets.came_out(id, Ending::Completed);
    assert!(budgets.is_empty());
}

#[test]
fn a_portal_goes_on_with_what_it_has_left() {
    let mut budgets = Budgets::default();
    let id = begin(&mut budgets, 1, &[one(RowsTold::Here)], Some(3));
    budgets.add(id, 2).unwrap();
    budgets.came_out(id, Ending::Suspended);
    let other = begin(&mut budgets, 2, &[one(RowsTold::Here)], Some(3));
    budgets.came_out(other, Ending::Completed);
    assert_eq!(budgets.add(id, 2).unwrap_err().code, "limit.rows");
    budgets.begins(CommandId(3), &[one(RowsTold::Here)], Some(3), || false).unwrap();
    budgets.came_out(CommandId(3), Ending::Failed);
    assert!(budgets.is_empty(), "no portal outlives its transaction");
}

#[test]
fn all_that_is_fetched_from_a_cursor_counts_as_one_statement() {
    let mut budgets = Budgets::default();
    let declare = [cursor("c", RowsTold::Declared)];
    let fetch = [cursor("c", RowsTold::Fetched)];
    let close = [cursor("c", |name| RowsTold::Closed(Some(name)))];
    let id = begin(&mut budgets, 1, &declare, Some(3));
    budgets.came_out(id, Ending::Completed);
    let id = begin(&mut budgets, 2, &fetch, None);
    budgets.add(id, 3).unwrap();
    budgets.came_out(id, Ending::Completed);
    let id = begin(&mut budgets, 3, &declare, Some(3));
    budgets.came_out(id, Ending::Failed);
    let id = begin(&mut budgets, 4, &fetch, None);
    assert!(budgets.add(id, 1).is_err(), "a declaration that fails renews nothing");
    budgets.came_out(id, Ending::Failed);
    let id = begin(&mut budgets, 5, &close, None);
    budgets.came_out(id, Ending::Completed);
    let id = begin(&mut budgets, 6, &declare, Some(3));
    budgets.came_out(id, Ending::Completed);
    let id = begin(&mut budgets, 7, &[fetch[0].clone(), fetch[0].clone()], None);
    budgets.add(id, 2).unwrap();
    budgets.came_out(id, Ending::Completed);
    budgets.add(id, 1).unwrap();
    assert!(budgets.add(id, 1).is_err(), "nor does a second statement of a text");
}

#[test]
fn cursors_and_statements_are_bounded() {
    let mut budgets = Budgets::default();
    for id in 0..256 {
        let id = begin(&mut budgets, id, &[cursor(&id.to_string(), RowsTold::Declared)], Some(1));
        budgets.came_out(id, Ending::Completed);
    }
    budgets.begins(CommandId(300), &[cursor("more", RowsTold::Declared)], Some(1), || true).unwrap_err();
    let mut budgets = Budgets::default();
    for id in 0..4096 {
        begin(&mut budgets, id, &[one(RowsTold::Here)], Some(1));
    }
    budgets.begins(CommandId(5000), &[one(RowsTold::Here)], Some(1), || true).unwrap_err();
}
