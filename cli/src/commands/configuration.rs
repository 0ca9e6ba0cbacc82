//! `writ config reference`: every setting of `writ.toml`, printed from one registry.
//!
//! The registry names a setting exactly where the real types have one: tests hold both directions.

use clap::Subcommand;

use crate::out;

mod registry;
#[cfg(test)]
mod tests;

/// About the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Configuration {
    /// Print every setting, in Markdown.
    Reference,
}

/// Runs the command.
pub(crate) fn run(command: &Configuration) {
    match command {
        Configuration::Reference => out::raw(&reference()),
    }
}

/// One table of the file.
struct Table {
    /// Its head as it stands in the file.
    head: &'static str,
    /// What it is for.
    about: &'static str,
    /// Its settings, in the order of the types.
    settings: &'static [Setting],
}

/// One setting.
struct Setting {
    name: &'static str,
    kind: &'static str,
    /// The value where it is left out; `None` where it must be given.
    default: Option<&'static str>,
    meaning: &'static str,
    /// A value, in TOML.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests parse it with the real types"))]
    example: &'static str,
}

const HEAD: &str = "# Configuration reference

Printed by `writ config reference`. `writ check --config writ.toml` reports every mistake in a file, with its line, and starts
nothing. A setting that is not listed here is refused.

Durations are a whole number and a unit: `500ms`, `30s`, `5m`, `1h`. No secret stands in the file: settings name the file or the
environment variable that holds it.

## Reading it again

`writ serve`, `writ broker` and `writ gateway` read the file again on SIGHUP, and by themselves within seconds after it, a policy or
a listener's certificate was changed. What is read is taken whole or not at all: with one mistake, in whatever table, everything
stays as it is, and the log says what to write instead, with file and line. Sessions go on as they began; new connections find what
is new. `gateway.workers`, the addresses of listeners, `broker.listen`, `broker.state`, `[link]` and `[log]` are taken at a restart
alone; the log names each that was changed.
";

fn reference() -> String {
    registry::TABLES.iter().fold(HEAD.to_owned(), |mut text, table| {
        text.push_str(&format!("\n## `{}`\n\n{}\n\n", table.head, table.about));
        text.push_str("| Setting | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
        for setting in table.settings {
            let default = match setting.default {
                None => "must be given".to_owned(),
                Some("") => "none".to_owned(),
                Some(value) => format!("`{value}`"),
            };
            text.push_str(&format!("| `{}` | {} | {default} | {} |\n", setting.name, setting.kind, setting.meaning));
        }
        text
    })
}
