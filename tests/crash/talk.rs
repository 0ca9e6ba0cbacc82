//! psql, to which statements are said one by one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use writ_world::stack::Stack;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A live psql.
pub(super) struct Talk {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Talk {
    /// Connects with a fresh token.
    pub(super) fn start(stack: &Stack) -> Self {
        let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
        psql.args(["-X", "-q", "-A", "-t"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (heard, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if heard.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    /// One statement, and the one line that it answers; `None` where psql is gone.
    pub(super) fn ask(&mut self, statement: &str) -> Option<String> {
        self.stdin.write_all(format!("{statement};\n").as_bytes()).ok()?;
        self.lines.recv_timeout(PATIENCE).ok()
    }

    /// Says a number, which must come back.
    pub(super) fn say(&mut self, word: &str) {
        assert_eq!(self.ask(&format!("select '{word}'")).as_deref(), Some(word), "{}", self.complaint());
    }

    /// Says one statement after another until the connection is cut, and gives what psql complains of.
    pub(super) fn complaint_once_cut(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        while self.ask("select 'here'").is_some() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.complaint()
    }

    /// What psql complains of, once it is gone: it leaves with the connection at its next statement.
    pub(super) fn complaint(&mut self) -> String {
        let _ = self.stdin.write_all(b"select 'still here';\n\\q\n");
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut said);
        }
        said
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
