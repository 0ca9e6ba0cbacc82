//! Wide results over TLS, to many clients that wait for their sockets.
//!
//! libpq makes room for 8,192 bytes before each read. What a longer TLS record holds beyond that stays in the client's TLS library,
//! and a client that waits for its socket, as pgbench does, then sleeps for ever beside rows that it has.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use writ_world::packages;
use writ_world::stack::Stack;

/// In records of 16 KiB a client stalled in each of five runs.
const TRANSACTIONS: u32 = 100;
/// It takes a tenth of that on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const SEED: &str = "create table wide as select id, 'Customer number ' || id as name, \
    'customer.' || id || '@mail.example.com' as email, '+49 30 ' || lpad(id::text, 8, '0') as phone, \
    '4111 1111 1111 1111'::text as card, id || ' Long Street, 10115 Some City, Country' as address, \
    repeat('n', 90) as note from generate_series(1, 100) as id; \
    alter table wide add primary key (id); grant select on wide to app";
/// Rows of up to 4 KiB: the longer a row, the more of it waits in the client's buffer, and the less room a record finds there. Longer
/// rows make a client enlarge its buffer. The length is another each time, so that each length of a last record comes up.
const QUERY: &str = "\\set length random(1, 3800)\n\
    select name, email, phone, card, address, repeat('n', :length) from wide;\n";

#[test]
fn eight_clients_that_read_wide_rows_over_tls_come_to_an_end() {
    let stack = Stack::start().unwrap();
    stack.superuser(SEED).unwrap();
    stack.superuser("vacuum analyze wide").unwrap();
    let script = stack.state().join("wide.sql");
    std::fs::write(&script, QUERY).unwrap();
    let pgbench = packages::need(Path::new("/usr/lib/postgresql/15/bin/pgbench"), "`apt-get install postgresql`");
    let mut pgbench = stack.client(&pgbench.unwrap(), &stack.session_token().unwrap());
    pgbench.args(["-n", "-c", "8", "-j", "1", "-t", &TRANSACTIONS.to_string(), "-f"]).arg(&script);
    let mut child = pgbench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    let stalled = child.try_wait().unwrap().is_none();
    // Only what has not ended can be killed.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!stalled, "clients wait for ever: {said}");
    let done = format!("number of transactions actually processed: {0}/{0}", 8 * TRANSACTIONS);
    assert!(said.contains(&done), "{said}");
}
