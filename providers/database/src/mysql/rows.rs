//! What the server answers, read. A row of another shape than asked for comes of no server that is sound: it is a fault here,
//! where the client crate's own conversions would panic.

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Row};
use writ_core::provider::ProviderFault;

use super::fault;

/// The rows that `question` has for an answer.
pub(crate) async fn asked<T: FromRow>(conn: &mut Conn, doing: &str, question: &str) -> Result<Vec<T>, ProviderFault> {
    let rows: Vec<Row> = conn.query(question).await.map_err(|error| fault::of(doing, &error))?;
    read(doing, rows)
}

/// The same rows as values.
pub(crate) fn read<T: FromRow>(doing: &str, rows: Vec<Row>) -> Result<Vec<T>, ProviderFault> {
    let read: Result<Vec<T>, _> = rows.into_iter().map(T::from_row_opt).collect();
    read.map_err(|_| ProviderFault::Refused(format!("{doing}: the server's answer has another form than it should")))
}
