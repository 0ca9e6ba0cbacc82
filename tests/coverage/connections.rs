//! Connection strings that users may copy: each must verify the gateway.
//!
//! libpq verifies nobody unless it is told to: whoever copies a line from us must not hand a token to a stranger.

/// What connects to a gateway, by the words that stand in it.
const CONNECTS: [&str; 6] = ["host=", "psql \"", "psql -h", "postgresql://", "postgres://", "PGHOST="];

/// The lines of a text that connect without verification.
pub(crate) fn unverified(text: &str) -> Vec<String> {
    text.lines().filter(|line| !is_verified(line)).map(|line| line.trim().to_owned()).collect()
}

fn is_verified(line: &str) -> bool {
    let other_modes = line.match_indices("sslmode=").any(|(at, name)| {
        let mode = line.get(at + name.len()..).unwrap_or_default();
        // In a sentence the word may stand alone.
        !mode.starts_with("verify-full") && mode.starts_with(|letter: char| letter.is_ascii_alphanumeric())
    });
    // On loopback and behind its services `writ listen` answers, which verified the gateway.
    let near = ["-h 127.0.0.1", "://127.0.0.1:", "service="].iter().any(|words| line.contains(words));
    // The database behind a gateway is no gateway.
    let target = line.contains("--target")
        || line.contains("{{username}}")
        || line.contains("with a login that may create roles");
    let connects = CONNECTS.iter().any(|words| line.contains(words)) && !target && !near;
    let by_string = line.contains("sslmode=verify-full") && line.contains("sslrootcert=");
    let by_environment = line.contains("PGSSLMODE=verify-full") && line.contains("PGSSLROOTCERT=");
    !other_modes && (!connects || by_string || by_environment)
}

#[test]
fn every_document_and_every_line_that_writ_prints_verifies_the_gateway() {
    let mut seen = 0;
    for (name, text) in super::files(&[".md", ".toml", ".yml", ".yaml", ".sh", ".cedar", ".rs", ".json"]) {
        let ours = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"].contains(&name.as_str())
            || ["docs/", "examples/", "policy/", "cli/src/"].iter().any(|folder| name.starts_with(folder));
        // What the command line's own tests try out is shown to nobody; of the others, one reads the URL of the database behind, and one
        // writes where `writ listen` itself is on this machine.
        let inside = ["cli/src/dev/target.rs", "cli/src/commands/listen/services.rs"].contains(&name.as_str());
        if ours && !name.ends_with("tests.rs") && !inside {
            seen += 1;
            assert_eq!(unverified(&text), Vec::<String>::new(), "{name}");
        }
    }
    assert!(seen > 40, "only {seen} files were found");
}

#[test]
fn the_search_finds_what_it_must() {
    for line in [
        "psql \"host=gateway user=payments dbname=payments\"",
        "psql \"host=gateway sslmode=require sslrootcert=ca.pem\"",
        "psql \"host=gateway sslmode=verify-full\"",
        "psql -h gateway -U payments",
        "postgresql://payments@gateway/payments?sslmode=verify-ca&sslrootcert=ca.pem",
        "postgres://payments@gateway/payments",
        "jdbc:postgresql://gateway/payments",
        "export PGHOST=gateway PGSSLMODE=require",
        "connect with sslmode=prefer",
    ] {
        assert_eq!(unverified(line), [line]);
    }
    for line in [
        "psql \"host=gateway user=payments sslmode=verify-full sslrootcert=ca.pem\"",
        "jdbc:postgresql://gateway/payments?sslmode=verify-full&sslrootcert=ca.pem",
        "psql -h 127.0.0.1 -p 15432 -U reports",
        "psql service=payments",
        "writ dev --target postgres://admin@127.0.0.1/payments",
        "libpq's default `sslmode` verifies nobody",
        "export PGHOST=gateway PGSSLMODE=verify-full PGSSLROOTCERT=ca.pem",
    ] {
        assert_eq!(unverified(line), Vec::<String>::new());
    }
}
