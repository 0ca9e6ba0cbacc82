//! What a mask has to know beside the frames of the replies.

use std::sync::Arc;

use writ_core::command::CommandId;

/// What the deliveries that follow are about. Told in the order of the replies, by machines that were asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learn {
    /// The columns that follow are those of rows behind them, in the formats that they state.
    Query,
    /// The columns that follow are what the client is told of a statement. They say nothing of rows: what the statement means may
    /// change before it is executed.
    Describes {
        /// The command that prepared it; number 0 where it is not one that can be executed.
        statement: CommandId,
    },
    /// The columns that follow are those of the rows behind them, in the formats that they state: a portal's.
    Opens {
        /// The command that prepared its statement; number 0 where it is not one that can be executed.
        statement: CommandId,
        /// Whether the client is told of these columns, or only of those of the statement.
        shown: bool,
    },
    /// The rows that follow are those of the columns told last, by [`Self::Opens`].
    Executes {
        /// Whether they may be those of other columns all the same.
        doubted: bool,
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
