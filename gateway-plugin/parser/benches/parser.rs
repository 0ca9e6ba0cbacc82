//! What a verdict that is not cached waits for: `cargo bench -p writ-parser`. Prints figures and asserts nothing.

use std::io::Write as _;
use std::time::{Duration, Instant};

use writ_parser::{Parser, Settings, analyse};

const TEXTS: [(&str, &str); 3] = [
    ("pgbench", "SELECT abalance FROM pgbench_accounts WHERE aid = 12345"),
    ("update", "UPDATE pgbench_accounts SET abalance = abalance + 17 WHERE aid = 12345"),
    (
        "report",
        "WITH recent AS (SELECT o.id, o.customer, sum(l.price * l.count) AS total FROM orders o JOIN lines l ON l.order_id = \
         o.id WHERE o.placed > now() - interval '7 days' GROUP BY o.id, o.customer) SELECT c.name, c.country, count(*), \
         max(r.total) FROM recent r JOIN customers c ON c.id = r.customer WHERE c.country IN ('DE', 'FR') AND r.total > 100 \
         GROUP BY c.name, c.country HAVING count(*) > 3 ORDER BY 4 DESC LIMIT 20",
    ),
];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    for (name, text) in TEXTS {
        let mut alone = timed(5_000, || {
            let _ = std::hint::black_box(analyse(text.as_bytes()));
        });
        writeln!(out, "{name}: parsed in this process: {}", figures(&mut alone))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let parser =
        Parser::new(Settings::new(env!("CARGO_BIN_EXE_writ-test-sql-parser").into(), vec!["serve".to_owned()]));
    runtime.block_on(async {
        let begun = Instant::now();
        let started = parser.start().await;
        writeln!(out, "a child starts in {:?}: {started}", begun.elapsed())?;
        for (name, text) in TEXTS {
            let mut asked = Vec::new();
            for _ in 0..20_000 {
                let begun = Instant::now();
                let _ = std::hint::black_box(parser.analyse(text.as_bytes()).await);
                asked.push(begun.elapsed());
            }
            writeln!(out, "{name}: asked of the child: {}", figures(&mut asked))?;
        }
        Ok(())
    })
}

fn timed(rounds: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let one = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..rounds).map(one).collect()
}

fn figures(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 1000).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999))
}
