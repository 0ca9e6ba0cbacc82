//! When each command began, for the duration in its record.
//!
//! Not every command has an outcome: a portal that is bound and never run has none. What is remembered is bounded all the same,
//! and the oldest give way.

use std::collections::VecDeque;
use std::time::Instant;

use writ_core::command::CommandId;

/// How many are remembered: more than the commands that may be without answer.
const MOST: usize = 8192;

/// The beginnings of commands, in their order.
#[derive(Debug, Default)]
pub(crate) struct Started(VecDeque<(CommandId, Instant)>);

impl Started {
    /// A command begins, behind all that began before.
    pub(crate) fn begins(&mut self, command: CommandId, now: Instant) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((command, now));
    }

    /// When a command began whose outcome is there; those before it have had theirs.
    pub(crate) fn of(&mut self, command: CommandId) -> Option<Instant> {
        while self.0.front().is_some_and(|(id, _)| *id < command) {
            self.0.pop_front();
        }
        self.0.front().filter(|(id, _)| *id == command).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_without_an_outcome_do_not_gather() {
        let (mut started, now) = (Started::default(), Instant::now());
        for number in 1..=100_000 {
            started.begins(CommandId(number), now);
        }
        assert!(started.0.len() <= MOST && started.0.capacity() <= 2 * MOST);
        assert_eq!(started.of(CommandId(1)), None);
        assert_eq!(started.of(CommandId(100_000)), Some(now));
        assert_eq!(started.of(CommandId(100_000)), Some(now), "a portal may be run again");
        assert_eq!(started.0.len(), 1);
    }
}
