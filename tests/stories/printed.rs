//! What Writ prints is what users paste: it must work as it stands, and verify the gateway.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use writ_world::postgres::{Cluster, SUPERUSER, Version};
use writ_world::stack::printed;

use super::shared;
use crate::coverage::connections::unverified;

/// `writ dev`, ended with the test.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_lines_of_writ_dev_can_be_pasted() {
    let binary = shared().unwrap().binary().to_owned();
    let cluster = Cluster::start(Version::V15).unwrap();
    let state = tempfile::tempdir().unwrap();
    let target = format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres", cluster.port());
    let mut command = Command::new(&binary);
    command.args(["dev", "--target", &target, "--state"]).arg(state.path().join("dev"));
    command.env("PGPASSWORD", cluster.password()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut dev = Dev(command.spawn().unwrap());
    let mut lines = Vec::new();
    for line in BufReader::new(dev.0.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("Ctrl-C ends it") {
            break;
        }
    }
    let said = lines.join("\n");
    assert!(!said.contains(cluster.password()), "the target's password is printed");
    assert_eq!(unverified(&said), Vec::<String>::new());
    let pasted: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| is_command(line)).collect();
    assert_eq!(pasted.len(), 2, "{said}");
    let script = format!("{}\n{} -X -A -t -c 'select 6 * 7'", pasted[0], pasted[1]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", &script]).stdin(Stdio::null());
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    assert_eq!(printed(shell.env("PATH", path)).unwrap(), "42");
}

fn is_command(line: &str) -> bool {
    line.starts_with("export ") || line.starts_with("psql ")
}

#[test]
fn no_help_shows_a_connection_that_verifies_nobody() {
    let stack = shared().unwrap();
    let mut seen = 0;
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(command) = waiting.pop() {
        let help = printed(Command::new(stack.binary()).args(&command).arg("--help")).unwrap();
        assert_eq!(unverified(&help), Vec::<String>::new(), "writ {} --help", command.join(" "));
        seen += 1;
        // clap lists commands as two spaces, a name, and what it is for.
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
        let names = names
            .filter(|name| *name != "help" && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
        waiting.extend(names.map(|name| [command.clone(), vec![name.to_owned()]].concat()));
    }
    assert!(seen > 25, "only {seen} commands were found");
}
