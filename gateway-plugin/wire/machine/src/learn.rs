//! What a mask has to know beside the frames of the replies.

use std::sync::Arc;

use writ_core::command::CommandId;

/// What the deliveries that follow are about. Told in the order of the replies, by machines that were asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learn {
    /// The columns that follow are those of rows behind them, in the formats that they state.
    Query,
    /// The columns that follow are those of a statement; the formats that they state are not those of its rows.
    Describes {
        /// The command that prepared it; number 0 where it is not one that can be executed.
        statement: CommandId,
    },
    /// The rows that follow are those of a statement.
    Executes {
        /// The command that prepared it.
        statement: CommandId,
        /// The formats of its columns: none for all text, one for all, or one for each.
        formats: Arc<[u16]>,
    },
    /// The statement is gone.
    Forget {
        /// The command that prepared it.
        statement: CommandId,
    },
    /// A bulk copy to the client begins.
    Copy {
        /// Whether in the binary form.
        binary: bool,
        /// How many columns it has.
        columns: u16,
        /// The text of the statement that copies, where that is all of its command and not long.
        text: Option<Arc<[u8]>>,
    },
    /// The bulk copy has ended.
    CopyEnd,
    /// What names, tables and views mean may have changed; told again once the transaction is over in which it did.
    Schema {
        /// Only in that there are other tables: those that were there mean what they meant.
        tables: bool,
    },
}
