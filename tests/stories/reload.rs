//! A configuration that changes while sessions run: taken whole for what comes, or not at all.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use writ_world::stack::{Stack, printed};

use super::evidence::eventually;

/// A psql that stays connected.
struct Open {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Open {
    fn start(stack: &Stack) -> Self {
        let mut command = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
        command.args(["-X", "-A", "-t", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn ask(&mut self, statement: &str) -> String {
        writeln!(self.input, "{statement};").unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate of its own authority, for localhost: the files of chain and key.
fn certificate(stack: &Stack, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (stack.state().join(format!("{name}.pem")), stack.state().join(format!("{name}.key")));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (chain, key)
}

/// Whether a new connection that trusts nothing but `root` gets through.
fn connects_under(stack: &Stack, root: &Path) -> Result<String, String> {
    let mut command: Command = stack.client(Path::new("/usr/bin/psql"), &stack.token()?);
    printed(command.env("PGSSLROOTCERT", root).args(["-X", "-A", "-t", "-c", "select 7"]))
}

fn log_says(stack: &Stack, words: &str) -> String {
    let said = || if stack.log().contains(words) { Ok(stack.log()) } else { Err(format!("no `{words}`")) };
    eventually(said).unwrap_or_else(|error| panic!("{error}: {}", stack.log()))
}

#[test]
fn a_certificate_is_swapped_under_a_live_session_and_a_wrong_file_changes_nothing() {
    let stack = Stack::start().unwrap();
    let file = stack.state().join("writ.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let mut session = Open::start(&stack);
    assert_eq!(session.ask("select 1"), "1");

    let (chain, key) = certificate(&stack, "first");
    let named = format!("certificate = {{ chain = \"{}\", key = \"{}\" }}\n", chain.display(), key.display());
    let taken = before.replace("workers = 2", "workers = 3\nmax_sessions = 100") + &named;
    std::fs::write(&file, &taken).unwrap();
    stack.hang_up().unwrap();
    assert_eq!(eventually(|| connects_under(&stack, &chain)).unwrap(), "7");
    log_says(&stack, "needs a restart: `gateway.workers` was changed");
    let old = connects_under(&stack, &stack.authority()).unwrap_err();
    assert!(old.contains("certificate verify failed"), "{old}");
    assert_eq!(session.ask("select 2"), "2");

    // A mistake in the gateway's table keeps the new policy out as well, and the other way round.
    let policy = stack.state().join("policies/workload.cedar");
    let permitted = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, permitted.replace("permit (", "forbid (")).unwrap();
    std::fs::write(&file, taken.replace("max_sessions = 100", "max_sesions = 0")).unwrap();
    stack.hang_up().unwrap();
    let log = log_says(&stack, "there is no setting `max_sesions` here");
    let line = taken.lines().position(|line| line.starts_with("max_sessions")).unwrap() + 1;
    assert!(log.contains(&format!("writ.toml:{line}:1: ")) && log.contains("did you mean `max_sessions`?"), "{log}");
    assert_eq!(connects_under(&stack, &chain).unwrap(), "7");
    assert_eq!(session.ask("select 3"), "3");
    std::fs::write(&policy, &permitted).unwrap();
    std::fs::write(&file, &taken).unwrap();

    // The same name with other bytes, first wrong, then right: no signal is needed.
    std::fs::write(&chain, "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n").unwrap();
    log_says(&stack, "first.pem");
    let (second, second_key) = certificate(&stack, "second");
    assert!(connects_under(&stack, &second).unwrap_err().contains("certificate verify failed"));
    std::fs::copy(second_key, &key).unwrap();
    std::fs::copy(&second, &chain).unwrap();
    assert_eq!(eventually(|| connects_under(&stack, &second)).unwrap(), "7");
    assert_eq!(session.ask("select 4"), "4");

    let moved = taken
        .replace("[[gateway.listeners]]", "[[gateway.listeners]]\nlisten = \"127.0.0.1:1\"\n\n[[gateway.listeners]]");
    std::fs::write(
        &file,
        moved.replacen("listen = \"127.0.0.1:1\"\n", &format!("listen = \"127.0.0.1:1\"\n{named}"), 1),
    )
    .unwrap();
    stack.hang_up().unwrap();
    log_says(&stack, "the listener on `127.0.0.1:1` is new and does not listen yet");
    assert_eq!(session.ask("select 5"), "5");
}
