//! Writ: a credential broker and the enforcing gateway in front of it.
fn main() {}
