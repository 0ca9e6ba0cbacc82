//! A program that says something, waits for a human, and then ends.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// How long it may be silent. These programs ask the issuer once a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, whatever it says being heard line by line. It is killed when this is dropped.
pub(super) struct Talking {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Talking {
    pub(super) fn start(command: &mut Command) -> Self {
        let (send, lines) = mpsc::channel();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut talking = Self { child, lines, heard: Vec::new() };
        listen(talking.child.stdout.take().unwrap(), send.clone());
        listen(talking.child.stderr.take().unwrap(), send);
        talking
    }

    /// Waits for a line in which `find` finds what is wanted.
    pub(super) fn hear<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("it was not said: {:#?}", self.heard));
            self.heard.push(line.clone());
            if let Some(found) = find(&line) {
                return found;
            }
        }
    }

    /// Waits for the end: everything that was said, by whether the program was content.
    pub(super) fn over(mut self) -> Result<String, String> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("there is no end of it: {:#?}", self.heard),
            }
        }
        let said = self.heard.join("\n");
        if self.child.wait().unwrap().success() { Ok(said) } else { Err(said) }
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(pipe: impl Read + Send + 'static, send: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
}
