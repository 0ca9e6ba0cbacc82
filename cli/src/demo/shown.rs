//! Commands whose output is shown as it is, and what is claimed of it.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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
pub(crate) fn run(line: &str, command: &mut Command) -> Result<Shown, Failure> {
    out::line(&format!("    $ {line}"));
    let output = finished(line, command)?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    for line in text.trim_end().lines() {
        out::line(&format!("    {}", out::harmless(line)));
    }
    Ok(Shown { text, success: output.status.success() })
}

fn finished(line: &str, command: &mut Command) -> Result<Output, Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(format!("`{line}` cannot be started"))?;
    let begun = Instant::now();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reader = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let stdout = reader(stdout.map(|stream| Box::new(stream) as _));
    let stderr = reader(stderr.map(|stream| Box::new(stream) as _));
    let status = loop {
        match child.try_wait().doing(format!("`{line}`"))? {
            Some(status) => break status,
            None if begun.elapsed() > LIMIT => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Failure::new(format!("`{line}` did not end within {LIMIT:?}")));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    Ok(Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() })
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

    fn claim(&self, held: bool, otherwise: &str, words: &[&str]) -> Result<(), Failure> {
        if !held {
            return Err(Failure::new(format!("this step did not show what it claims: {otherwise}")));
        }
        match words.iter().find(|word| !self.text.contains(**word)) {
            Some(word) => Err(Failure::new(format!("this step did not show what it claims: `{word}` is missing"))),
            None => Ok(()),
        }
    }
}
