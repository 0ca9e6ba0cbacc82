//! Writ: a credential broker and the enforcing gateway in front of it. The composition root: reads configuration, picks
//! providers, starts roles.

mod api;
mod commands;
mod failure;
mod out;
mod private;
mod toml_file;

fn main() {}
