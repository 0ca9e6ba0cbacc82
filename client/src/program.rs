//! A program that prints a token: run without a shell, its output bounded, its time too.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::fault::Fault;
use crate::token::{LONGEST, Token};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a program and takes what it prints as a token. What it complains of goes where this process's complaints go.
pub(crate) async fn token(environment: &Environment, program: &str, arguments: &[String]) -> Result<Token, Fault> {
    let mut command = environment.program(Path::new(program));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| Fault::new(format!("`{program}` cannot be run: {error}")))?;
    let stdout = child.stdout.take().ok_or_else(|| Fault::new(format!("`{program}` has no output")))?;
    let all = async {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(2);
        stdout.take(most).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>((bytes, child.wait().await?))
    };
    let (bytes, status) = tokio::time::timeout(LIMIT, all)
        .await
        .map_err(|_| Fault::new(format!("`{program}` gave no token within {} seconds", LIMIT.as_secs())))?
        .map_err(|error| Fault::new(format!("the output of `{program}` cannot be read: {error}")))?;
    if bytes.len() > LONGEST + 1 {
        return Err(Fault::new(format!("what `{program}` gave is no token: it is longer than {LONGEST} bytes")));
    }
    if !status.success() {
        return Err(Fault::new(format!("`{program}` gave no token: {status}")));
    }
    let text = core::str::from_utf8(&bytes).map_err(|_| Fault::new(format!("what `{program}` gave is no token")))?;
    Token::new(text, &format!("`{program}`"))
}
