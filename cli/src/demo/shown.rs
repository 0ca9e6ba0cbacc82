//! Commands whose output is shown as it is, and what is claimed of it.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::failure::{Doing as _, Failure};
use crate::out;

/// How long a shown command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What a command printed, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Standard output and standard error, in this order.
    pub text: String,
    /// Whether it ended with status 0.
    pub success: bool,
}

/// Prints a heading.
pub(crate) fn heading(number: usize, text: &str) {
    out::line(&format!("\n[{number}] {text}"));
}

/// Shows `line` as what is typed, runs the command and shows what it prints.
///
/// # Errors
/// If it cannot be started or takes longer than a minute.
pub(crate) async fn run(line: &str, command: &mut Command) -> Result<Shown, Failure> {
    out::line(&format!("    $ {line}"));
    let shown = quietly(line, command).await?;
    for line in shown.text.trim_end().lines() {
        out::line(&format!("    {}", out::harmless(line)));
    }
    Ok(shown)
}

/// Runs the command without showing it. It ends with the one who waits for it.
///
/// # Errors
/// If it cannot be started or takes longer than a minute.
pub(crate) async fn quietly(line: &str, command: &mut Command) -> Result<Shown, Failure> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, output).await;
    let output = output.map_err(|_| Failure::new(format!("`{line}` did not end within {LIMIT:?}")))?;
    let output = output.doing(format!("`{line}` cannot be started"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Shown { text, success: output.status.success() })
}

impl Shown {
    /// Claims that it succeeded and printed each of `words`.
    ///
    /// # Errors
    /// If it did not: the demo stops and ends with a status other than 0.
    pub(crate) fn succeeds_with(&self, words: &[&str]) -> Result<(), Failure> {
        self.claim(self.success, "it should have succeeded", words)
    }

    /// Claims that it was refused and printed each of `words`.
    ///
    /// # Errors
    /// If it was not.
    pub(crate) fn is_refused_with(&self, words: &[&str]) -> Result<(), Failure> {
        self.claim(!self.success, "it should have been refused", words)
    }

    /// Claims that it printed nothing of this.
    ///
    /// # Errors
    /// If it did.
    pub(crate) fn hides(&self, secret: &str) -> Result<(), Failure> {
        if self.text.contains(secret) {
            return Err(Failure::new(format!("this step did not show what it claims: `{secret}` came back")));
        }
        Ok(())
    }

    fn claim(&self, held: bool, otherwise: &str, words: &[&str]) -> Result<(), Failure> {
        if !held {
            return Err(Failure::new(format!("this step did not show what it claims: {otherwise}")));
        }
        match words.iter().find(|word| !self.text.contains(**word)) {
            Some(word) => {
                let printed = out::harmless(self.text.trim_end());
                Err(Failure::new(format!("this step did not show what it claims: `{word}` is missing in: {printed}")))
            }
            None => Ok(()),
        }
    }
}
