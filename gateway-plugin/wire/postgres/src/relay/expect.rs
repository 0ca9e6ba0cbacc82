//! What the server still has to answer, in order: how replies are paired with commands under pipelining.

use std::collections::VecDeque;

use writ_core::command::CommandId;

use super::names::Slot;

/// One answer that is outstanding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// To a simple query: anything, then ReadyForQuery.
    Query(CommandId),
    /// To what was sent in place of a refused simple query: its error is swallowed, ReadyForQuery ends it.
    RefusedQuery,
    /// To what was sent in place of a refused extended message: its error is swallowed.
    RefusedExtended,
    /// ParseComplete.
    Parse(CommandId, Slot),
    /// BindComplete.
    Bind(CommandId, Slot),
    /// ParameterDescription, then RowDescription or NoData. The statement's command and slot, where known.
    DescribeStatement(Option<(CommandId, Slot)>),
    /// RowDescription or NoData.
    DescribePortal(Option<CommandId>),
    /// RowDescription or NoData for a portal, asked by ourselves before it is executed.
    Study(CommandId),
    /// Rows, then a completion.
    Execute(CommandId),
    /// CloseComplete for a statement, closed behind this command in this segment.
    CloseStatement(Option<Slot>, CommandId, u64),
    /// CloseComplete for a portal.
    ClosePortal(Option<Slot>, CommandId, u64),
    /// ReadyForQuery, ending this segment.
    Sync(u64),
}

impl Expect {
    /// The command that an answer belongs to.
    pub(super) const fn command(self) -> Option<CommandId> {
        match self {
            Self::Query(id) | Self::Parse(id, _) | Self::Bind(id, _) | Self::Execute(id) | Self::Study(id) => Some(id),
            Self::DescribeStatement(Some((id, _))) | Self::DescribePortal(Some(id)) => Some(id),
            _ => None,
        }
    }
}

/// The queue of outstanding answers and of the refusals that wait for their place among them.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    pub(super) queue: VecDeque<Expect>,
    /// The error frames of the refusals in the queue, in order.
    pub(super) refusals: VecDeque<Vec<u8>>,
    /// Whether the server skips everything up to a Sync.
    pub(super) skipping: bool,
    /// The first Bind that failed or was skipped since `skipping`: its executions are accounted for with it.
    pub(super) skipped_from: Option<CommandId>,
}

impl Expectations {
    /// How many answers are outstanding that were asked here; each is followed by that of an execution.
    pub(super) fn studies(&self) -> usize {
        self.queue.iter().filter(|expect| matches!(expect, Expect::Study(_))).count()
    }
}
