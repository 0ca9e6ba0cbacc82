//! How fast texts are cut: `cargo bench -p writ-sql`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use writ_sql::{Lexer, outline};

fn main() -> std::io::Result<()> {
    let short = "SELECT abalance FROM pgbench_accounts WHERE aid = 12345";
    let long =
        "INSERT INTO orders (id, customer, note, total) VALUES (17, 'somebody', 'a note of some length', 12.50); "
            .repeat(64);
    for (name, text) in [("short", short), ("long", long.as_str())] {
        let rounds = 20_000_000 / text.len();
        let nanos = |work: &dyn Fn()| {
            let begun = Instant::now();
            (0..rounds).for_each(|_| work());
            begun.elapsed().as_nanos() as f64 / rounds as f64
        };
        let lexed = nanos(&|| assert!(Lexer::new(black_box(text)).all(|token| token.is_ok())));
        let outlined = nanos(&|| assert!(black_box(outline(black_box(text).as_bytes())).is_ok()));
        let rate = |nanos: f64| text.len() as f64 / nanos * 1000.0;
        let (bytes, lexed_rate, outlined_rate) = (text.len(), rate(lexed), rate(outlined));
        writeln!(
            std::io::stdout(),
            "{name}: {bytes} bytes; tokens {lexed:.0} ns ({lexed_rate:.0} MB/s); shape {outlined:.0} ns ({outlined_rate:.0} MB/s)"
        )?;
    }
    Ok(())
}
