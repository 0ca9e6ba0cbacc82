//! Tests that cross crates, in one binary.
//!
//! `coverage` holds lists that may only shrink, `stories` what users do, `adversary` what attackers try, `crash` what a kill at
//! the wrong moment leaves.

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod stories;
