//! The statement: one SQL statement as far as its grammar tells.
//!
//! A [`Command`](crate::command::Command)'s text holds any number of them. Policy is asked about each [`Access`] of each, so that
//! what a statement does in passing (a `WITH` that writes, a `SELECT INTO`) is judged like a statement of its own.

use serde::{Deserialize, Serialize};

/// What a statement does, as policies and records write it after `sql:`. What is not understood is [`Kind::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Reads: `SELECT`, `TABLE`, `VALUES`, `DECLARE CURSOR`.
    Select,
    /// `INSERT`, the inserting arms of `MERGE`.
    Insert,
    /// `UPDATE`, the updating arms of `MERGE` and `ON CONFLICT`.
    Update,
    /// `DELETE`, the deleting arms of `MERGE`.
    Delete,
    /// `TRUNCATE`.
    Truncate,
    /// `COPY ... FROM STDIN`; the same statement has an access of kind [`Kind::Insert`].
    CopyIn,
    /// `COPY ... TO STDOUT`; the same statement has an access of kind [`Kind::Select`] to what it copies.
    CopyOut,
    /// `COPY` from or to a file or program of the server.
    CopyServer,
    /// `LOCK TABLE`, and `SELECT ... FOR UPDATE` and its like.
    Lock,
    /// `CALL`.
    Call,
    /// `DO`.
    Do,
    /// `EXPLAIN` without `ANALYZE`; what it explains is not executed.
    Explain,
    /// `CREATE`, `ALTER`, `DROP`, `COMMENT`, `SELECT INTO` and all else that changes the catalog.
    Ddl,
    /// `GRANT`, `REVOKE`, roles, policies, ownership, `SET ROLE`, `SET SESSION AUTHORIZATION`, security labels.
    Privilege,
    /// `SET`, `RESET`.
    Set,
    /// `SHOW`.
    Show,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, savepoints, two-phase commit.
    Transaction,
    /// `FETCH`, `MOVE`, `CLOSE`.
    Cursor,
    /// `EXECUTE` and `DEALLOCATE` of what `PREPARE` named.
    Prepared,
    /// `LISTEN`, `NOTIFY`, `UNLISTEN`.
    Notify,
    /// `VACUUM`, `ANALYZE`, `REINDEX`, `CLUSTER`, `CHECKPOINT`, `REFRESH MATERIALIZED VIEW`.
    Maintenance,
    /// `DISCARD`.
    Discard,
    /// Anything else, and anything that could not be parsed.
    Unknown,
}

impl Kind {
    /// All kinds, for tables over them.
    pub const ALL: [Self; 23] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Truncate,
        Self::CopyIn,
        Self::CopyOut,
        Self::CopyServer,
        Self::Lock,
        Self::Call,
        Self::Do,
        Self::Explain,
        Self::Ddl,
        Self::Privilege,
        Self::Set,
        Self::Show,
        Self::Transaction,
        Self::Cursor,
        Self::Prepared,
        Self::Notify,
        Self::Maintenance,
        Self::Discard,
        Self::Unknown,
    ];

    /// The kind as policies and records write it, without `sql:`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
            Self::CopyIn => "copy_in",
            Self::CopyOut => "copy_out",
            Self::CopyServer => "copy_server",
            Self::Lock => "lock",
            Self::Call => "call",
            Self::Do => "do",
            Self::Explain => "explain",
            Self::Ddl => "ddl",
            Self::Privilege => "privilege",
            Self::Set => "set",
            Self::Show => "show",
            Self::Transaction => "transaction",
            Self::Cursor => "cursor",
            Self::Prepared => "prepared",
            Self::Notify => "notify",
            Self::Maintenance => "maintenance",
            Self::Discard => "discard",
            Self::Unknown => "unknown",
        }
    }
}

/// A name that a statement gives to something of the database, folded as PostgreSQL folds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QualifiedName {
    /// The schema, where the statement states one.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

/// Which columns of a relation an access touches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Columns {
    /// These at most, sorted, each once. Empty: none is stated, as in `count(*)`, or `DELETE`, whose condition is a
    /// [`Kind::Select`] of its own. A name that the grammar cannot give to one relation alone stands with each that may have it.
    /// A name that the relation does not have may be a function of the database's own, called with the whole row (`t.f`): who
    /// has the catalog looks it up.
    Stated(Vec<String>),
    /// Any: `*`, a whole row, or a name that cannot be told to belong elsewhere.
    Any,
}

/// One thing that a statement does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    /// What it does.
    pub kind: Kind,
    /// To which relation; `None` where it does it to none, or to the database as a whole.
    pub relation: Option<QualifiedName>,
    /// To which columns of it.
    pub columns: Columns,
}

/// A change of a setting: `SET`, `RESET`, `set_config`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Setting {
    /// The setting, in lower case; `all` for `RESET ALL`.
    pub name: String,
    /// To what it is changed.
    pub value: SettingValue,
    /// Whether it lasts for the transaction alone.
    pub local: bool,
    /// Whether it changes for certain where the statement succeeds; else the old value may stand too, as with a `set_config`
    /// that a query calls for no row.
    pub sure: bool,
}

/// To what a setting is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingValue {
    /// To its default: `RESET`, `SET ... TO DEFAULT`.
    Default,
    /// To these, as `SET` states them: each is one value, whatever it holds.
    Stated(Vec<String>),
    /// To this text of `set_config`, in which the server looks for values: those of a list stand with commas between them.
    Text(String),
    /// To what only the server knows.
    Computed,
}

/// What a statement does with statements that SQL's `PREPARE` keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreparedStep {
    /// `PREPARE` of this name: the accesses are those of what it keeps, which an `EXECUTE` does again.
    Define(String),
    /// `EXECUTE` of this name, in an `EXPLAIN` or a `CREATE TABLE ... AS` too.
    Execute(String),
    /// `DEALLOCATE` of this name; `None` for all.
    Deallocate(Option<String>),
}

/// What a statement is, its literals, letter case and white space apart: alike for statements that differ in these alone.
///
/// The first half of a SHA-256, so that nobody finds two statements with one fingerprint. Zero for what was not understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 16]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// What a statement does to the transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStep {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`; with `AND CHAIN` another begins.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT` of this name.
    Savepoint(String),
    /// `RELEASE` of this name.
    Release(String),
    /// `ROLLBACK TO` this name.
    RollbackTo(String),
    /// `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`.
    TwoPhase,
}

/// Where the rows of a statement are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsTold {
    /// In what it returns and in its completion.
    #[default]
    Here,
    /// Nowhere: a `WITH` that writes, an `EXPLAIN ANALYZE` of what writes.
    Nowhere,
    /// In each `FETCH` of the cursor of this name, which it declares.
    Declared(String),
    /// Here, and they are those of the cursor of this name: `FETCH`.
    Fetched(String),
    /// It closes the cursor of this name; `None`: all of them.
    Closed(Option<String>),
}

/// One SQL statement as far as its grammar tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// All that it does; at least one. A statement of kind `Unknown` has that access alone.
    pub accesses: Vec<Access>,
    /// The functions, operators apart, that it calls by name; sorted, each once.
    pub functions: Vec<QualifiedName>,
    /// The names that stand behind a dot (`t.f`, `(row).f`), sorted, each once: columns, or functions that the server calls with
    /// what stands before the dot.
    pub selected: Vec<String>,
    /// The functions that it makes, by their names without a schema: `CREATE FUNCTION`, `CREATE AGGREGATE`, `ALTER FUNCTION ...
    /// RENAME`.
    pub defines: Vec<String>,
    /// The settings that it changes.
    pub settings: Vec<Setting>,
    /// What it does to the transaction.
    pub transaction: Option<TransactionStep>,
    /// An `UPDATE` or `DELETE` in it has no `WHERE`, or one that names no column.
    pub unfiltered: bool,
    /// Where its rows are told.
    pub rows: RowsTold,
    /// What it does with prepared statements.
    pub prepared: Option<PreparedStep>,
    /// What is said here follows from literals too: it holds for this text, not for others that differ in literals alone.
    pub literal: bool,
    /// What it is, its literals apart.
    pub fingerprint: Fingerprint,
}

impl Statement {
    /// A statement that was not understood.
    #[must_use]
    pub fn unknown() -> Self {
        let access = Access { kind: Kind::Unknown, relation: None, columns: Columns::Any };
        Self {
            accesses: vec![access],
            functions: Vec::new(),
            selected: Vec::new(),
            defines: Vec::new(),
            settings: Vec::new(),
            transaction: None,
            unfiltered: false,
            rows: RowsTold::Here,
            prepared: None,
            literal: true,
            fingerprint: Fingerprint::default(),
        }
    }
}
