//! Many sessions on one worker, whose records are written together: each gets its own answers, in order, all of them.

use std::path::Path;
use std::process::Stdio;

use writ_world::packages;
use writ_world::stack::Stack;

const CLIENTS: usize = 12;
const STATEMENTS: usize = 60;

#[test]
fn sessions_that_share_a_commit_get_their_own_answers() {
    let stack = Stack::start().unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let mut psql = stack.client("psql".as_ref(), &stack.session_token().unwrap());
            psql.args(["-X", "-q", "-A", "-t"]);
            for number in 0..STATEMENTS {
                psql.args(["-c", &format!("select 'answer-{client}-{number}'")]);
            }
            psql.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (client, child) in clients.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let expected: String = (0..STATEMENTS).map(|number| format!("answer-{client}-{number}\n")).collect();
        assert_eq!(said, expected, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn prepared_statements_of_many_sessions_come_to_an_end() {
    let stack = Stack::start().unwrap();
    let script = stack.state().join("two.sql");
    std::fs::write(&script, "begin;\nselect :client_id::int;\nselect 1 / (:client_id + 1);\nend;\n").unwrap();
    let pgbench = packages::need(Path::new("/usr/lib/postgresql/15/bin/pgbench"), "`apt-get install postgresql`");
    let pgbench = pgbench.unwrap();
    for mode in ["simple", "extended", "prepared"] {
        let mut command = stack.client(&pgbench, &stack.session_token().unwrap());
        command.args(["-n", "-c", "12", "-j", "2", "-t", "50", "-M", mode, "-f"]).arg(&script);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("number of transactions actually processed: 600/600"), "{mode}: {said}");
    }
}
