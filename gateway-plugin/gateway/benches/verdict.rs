//! How long a verdict on a statement takes: remembered, judged by policy anew, and with the parser asked too. Prints `name value unit`.
//!
//! The parser is the `writ` beside the benchmark (`cargo build --release --bin writ`). Words as arguments restrict it to the ways that
//! they name: `remembered`, `judged`, `parsed`.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use writ_core::command::{Command, CommandId, CommandTag};
use writ_core::grant::SessionLimits;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_core::workload::{Issuer, Subject, TokenId, TokenKind, Workload};
use writ_gateway::evidence::{Moment, ServerFacts};
use writ_gateway::sql::{Governed, Governor};
use writ_parser::{Parser, Settings};
use writ_policy::{Bundle, OwnFunctions, SessionPolicy};
use writ_record::entry::Text;

type Failure = Box<dyn core::error::Error + Send + Sync>;

const POLICY: &str = include_str!("../../../bench/policy.cedar");
const CARDS: &str = include_str!("../../../bench/cards.mask.toml");
const EVERYTHING: &str = include_str!("../../../bench/everything.mask.toml");
/// What pgbench sends, and a report.
const SHORT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";
const REPORT: &str = "SELECT c.name, count(*) AS orders, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer = c.id \
     LEFT JOIN refunds r ON r.order_id = o.id WHERE o.placed >= now() - interval '30 days' AND r.id IS NULL AND c.country = 'PT' \
     GROUP BY c.name HAVING sum(o.amount) > 1000 ORDER BY total DESC LIMIT 50";
const REMEMBERED: usize = 500_000;
const ANEW: usize = 20_000;

fn policy(more: &str) -> Result<SessionPolicy, Failure> {
    let files = [
        ("p.cedar", format!("{POLICY}{more}")),
        ("cards.mask.toml", CARDS.to_owned()),
        ("everything.mask.toml", EVERYTHING.to_owned()),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text)).to_vec();
    let bundle = Bundle::load(files).map_err(|problems| format!("{problems:?}"))?;
    let workload = Workload {
        issuer: Issuer::new("https://issuer.bench.example"),
        subject: Subject::new("bench"),
        claims: BTreeMap::new(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("1".to_owned()),
        token_expires: Timestamp::MAX,
        bound_target: None,
    };
    let target = Target {
        name: TargetName::new("plain")?,
        labels: BTreeMap::new().into_iter().collect(),
        protocol: Protocol::Postgres,
        address: Address { host: "localhost".to_owned(), port: 5432, tls: UpstreamTls::Disable, ca_pem: None },
        provider: "database".to_owned(),
    };
    Ok(SessionPolicy::prepare(&Arc::new(bundle), &workload, &target))
}

fn governed(policy: SessionPolicy) -> Governed {
    let facts = ServerFacts {
        search_path: "\"$user\", public".to_owned(),
        user_schema: false,
        role: "bench_app".to_owned(),
        functions: OwnFunctions::default(),
    };
    Governed::new(policy, "bench".to_owned(), SessionLimits::default(), &facts)
}

struct Bench {
    governor: Rc<RefCell<Governor>>,
    governed: Governed,
    number: u64,
}

impl Bench {
    /// One verdict, as the gate asks for it.
    async fn verdict(&mut self, text: &str) -> Result<(), Failure> {
        self.number += 1;
        let command = Command { id: CommandId(self.number), tag: CommandTag::SqlQuery, text: Some(text.as_bytes()) };
        let (open, prepared) = (|| false, HashSet::new);
        let moment = Moment { at: Timestamp::UNIX_EPOCH, now: Instant::now(), open: &open, prepared: &prepared };
        loop {
            match self.governed.judge(&self.governor, &command, &Text::Inline(text.as_bytes()), &moment) {
                Ok(said) => {
                    return match self.governed.settle(&command, &said, false, &moment) {
                        Verdict::Allow(_) => Ok(()),
                        other => Err(format!("not allowed: {other:?}").into()),
                    };
                }
                Err(mut later) => core::future::poll_fn(|context| later.poll(context)).await,
            }
        }
    }

    /// The median and the 99th percentile over so many texts, in microseconds.
    async fn measure(&mut self, count: usize, text: impl Fn(usize) -> String) -> Result<(f64, f64), Failure> {
        let mut took = Vec::with_capacity(count);
        for number in 0..count {
            let text = text(number);
            let begun = Instant::now();
            self.verdict(&text).await?;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let at = |part: f64| took.get((count as f64 * part) as usize).map_or(0.0, |took| took.as_secs_f64() * 1e6);
        Ok((at(0.5), at(0.99)))
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let own = std::env::current_exe()?;
    let writ = own.ancestors().nth(2).ok_or("no directory of the build")?.join("writ");
    let parser = || Parser::new(Settings::new(writ.clone(), vec!["sql-parser".to_owned()]));
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let moving = "forbid (principal, action in Writ::Action::\"sql\", resource) when { context.now < 0 };";
    for (name, more, count, distinct) in
        [("remembered", "", REMEMBERED, false), ("judged", moving, ANEW, false), ("parsed", "", ANEW / 4, true)]
    {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        for (of, text) in [("short", SHORT), ("report", REPORT)] {
            let governor = Rc::new(RefCell::new(Governor::new(parser())));
            let mut bench = Bench { governor, governed: governed(policy(more)?), number: 0 };
            bench.verdict(text).await?;
            // A column of another name makes another shape; a literal does not.
            let text = |number| {
                if distinct {
                    text.replacen("SELECT ", &format!("SELECT 1 AS c{number}, "), 1)
                } else {
                    text.to_owned()
                }
            };
            let (median, late) = bench.measure(count, text).await?;
            println!("verdict_{name}_{of}_p50 {median:.2} us");
            println!("verdict_{name}_{of}_p99 {late:.2} us");
        }
    }
    Ok(())
}
