//! Who is not let in: what the client prints, the SQLSTATE that a driver sees, and why, in the ledger alone.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use writ_world::stack::{AUDIENCE, ISSUER, Stack, TARGET, printed};

use super::evidence::eventually;
use super::raw::{Raw, V3_0};
use super::shared;

const REFUSED: &str = "the token was refused";
const FRESH: &str = "get a fresh token for this gateway group, or ask the operator why, quoting the request's id";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// The usual claims, with `changed` ones.
fn claims(changed: &Value) -> Value {
    let now = now();
    let mut claims = json!({
        "iss": ISSUER, "sub": "repo:acme/payments:environment:production", "aud": AUDIENCE,
        "iat": now, "nbf": now, "exp": now + 300, "jti": format!("refusals-{:?}", std::time::Instant::now()),
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// Every entry of the ledger, from its files.
fn ledger(stack: &Stack) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut folders = vec![stack.state().join("broker/evidence/ledger/tile/entries")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Each entry behind its length in two bytes (C2SP tlog-tiles, "Log Entries").
            let bytes = std::fs::read(path).unwrap_or_default();
            let mut rest = bytes.as_slice();
            while let Some((length, behind)) = rest.split_first_chunk::<2>() {
                let (entry, next) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
                entries.push(serde_json::from_slice(entry).unwrap());
                rest = next;
            }
        }
    }
    entries
}

/// The ledger's entry on the request that a client was told.
fn reason(stack: &Stack, said: &str) -> Value {
    let request = said.split_once("(request ").and_then(|(_, rest)| rest.split_once(')')).map(|(id, _)| id);
    let request = request.unwrap_or_else(|| panic!("no request's id in `{said}`"));
    eventually(|| {
        let found = ledger(stack).into_iter().find(|entry| entry.to_string().contains(&format!("\"{request}\"")));
        found.ok_or_else(|| format!("the ledger has no {request}"))
    })
    .unwrap()
}

/// Shows `token` for the target as `user`; gives SQLSTATE, message and hint, psql's own words and the ledger's reason.
fn refused(stack: &Stack, user: &str, token: &str) -> ([String; 3], String, Value) {
    let mut raw = Raw::secured(stack);
    raw.startup(V3_0, &[("user", user), ("database", TARGET)]);
    raw.password(token);
    let error = raw.refusal();
    assert_eq!((error[&'S'].as_str(), error[&'V'].as_str()), ("FATAL", "FATAL"));
    assert!(raw.is_closed());
    let mut psql = stack.client(Path::new("/usr/bin/psql"), token);
    let said = printed(psql.env("PGUSER", user).args(["-X", "-c", "select 1"])).unwrap_err();
    let reason = reason(stack, &said);
    ([error[&'C'].clone(), error[&'M'].clone(), error[&'H'].clone()], said, reason)
}

/// One refusal in all its words; the request's id stands behind `message`.
fn check(stack: &Stack, user: &str, token: &str, [state, message, hint]: [&str; 3], code: &str, detail: &str) {
    let ([said_state, said_message, said_hint], psql, reason) = refused(stack, user, token);
    assert_eq!((said_state.as_str(), said_hint.as_str()), (state, hint));
    assert!(said_message.starts_with(&format!("{message} (request req-")), "{said_message}");
    assert!(psql.contains(&format!("FATAL:  {message} (request req-")), "{psql}");
    assert!(psql.contains(&format!("HINT:  {hint}")), "{psql}");
    let event = &reason["event"];
    assert_eq!(event["code"], code, "{reason}");
    assert!(event["detail"].as_str().unwrap().contains(detail), "{reason}");
    // The client learns nothing of the reason.
    assert!(!psql.contains(code) && (detail.is_empty() || !psql.contains(detail)), "{psql}");
}

#[test]
fn a_bad_token_is_refused_in_one_voice_and_the_ledger_knows_why() {
    let stack = shared().unwrap();
    let sign = |changed: Value| stack.sign(&claims(&changed)).unwrap();
    let cases = [
        (sign(json!({"iat": now() - 900, "nbf": now() - 900, "exp": now() - 600})), "identity.expired", "expired at"),
        (sign(json!({"aud": "https://elsewhere.example"})), "identity.audience", "https://elsewhere.example"),
        (sign(json!({"iss": "https://stranger.example"})), "identity.unknown_issuer", "https://stranger.example"),
        (sign(json!({"exp": now() + 7200})), "identity.lifetime", "longer than"),
        (sign(json!({"nbf": now() + 600})), "identity.not_yet_valid", "not valid before"),
        (forged(&sign(json!({}))), "identity.signature", "not by a key"),
        (unsigned(&sign(json!({}))), "identity.algorithm", "none"),
        ("not-a-token".to_owned(), "identity.parts", "1 parts"),
    ];
    for (token, code, detail) in cases {
        check(&stack, TARGET, &token, ["28000", REFUSED, FRESH], code, detail);
    }
}

/// The same claims under another signature: its first character changed.
fn forged(token: &str) -> String {
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let mut signature = signature.chars();
    let first = if signature.next() == Some('A') { 'B' } else { 'A' };
    format!("{claims}.{first}{}", signature.as_str())
}

/// The same claims, the header saying that there is no signature (RFC 8725, section 2.1).
fn unsigned(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"test-1"}"#);
    format!("{header}.{}.", token.split('.').nth(1).unwrap())
}

#[test]
fn a_replayed_token_is_told_the_two_ways_out() {
    let stack = shared().unwrap();
    let token = stack.token().unwrap();
    drop(Raw::session(&stack, &token));
    let words = [
        "28000",
        "the token was used as often as policy allows (@uses)",
        "get a fresh token, exchange one at /v1/token for clients that reconnect, or raise @uses in the policy",
    ];
    let ([state, message, hint], psql, reason) = refused(&stack, TARGET, &token);
    assert_eq!((state.as_str(), hint.as_str()), (words[0], words[2]));
    assert!(message.starts_with(words[1]) && psql.contains(words[1]) && psql.contains(words[2]), "{psql}");
    assert_eq!(reason["event"]["code"], "token.used", "{reason}");
}

#[test]
fn a_forbidden_target_and_an_unknown_one_look_alike() {
    let stack = Stack::start_with(&[], |_, _, configuration| {
        // There, and given to nobody.
        let payroll = "[[broker.target]]\nname = \"payroll\"\nhost = \"127.0.0.1\"\nport = 1\ntls = \"disable\"\n\n\
                       [broker.target.provider.static]\nuser = \"nobody\"\npassword_env = \"PATH\"\n\n[link]\n";
        Ok(configuration.replace("[link]\n", payroll))
    })
    .unwrap();
    let public = "this is not permitted by policy";
    let mut seen = Vec::new();
    for (user, code) in [("payroll", "policy.no_permit"), ("nothing", "target.unknown")] {
        let ([state, message, hint], psql, reason) = refused(&stack, user, &stack.token().unwrap());
        assert_eq!(reason["event"]["code"], code, "{reason}");
        assert_eq!(reason["event"]["target"], user, "{reason}");
        assert!(psql.contains("FATAL:"), "{psql}");
        seen.push((state, message.split(" (request").next().unwrap().to_owned(), hint));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0, "28000");
    assert_eq!(seen[0].1, public);
}

#[test]
fn a_token_has_at_most_64_kib() {
    let stack = shared().unwrap();
    let padded = |length: usize| {
        let bare = stack.sign(&claims(&json!({"pad": ""}))).unwrap().len();
        let pad = "x".repeat((length - bare) * 3 / 4);
        stack.sign(&claims(&json!({"pad": pad}))).unwrap()
    };
    let longest = padded(65_500);
    assert!(longest.len() > 65_450 && longest.len() <= 65_536, "{}", longest.len());
    drop(Raw::session(&stack, &longest));

    let message = "expected a password message of at most 64 KiB";
    for length in [66_000, 120_000] {
        let token = padded(length);
        let mut raw = Raw::secured(&stack);
        raw.startup(V3_0, &[("user", TARGET)]);
        raw.password(&token);
        let error = raw.refusal();
        assert_eq!((error[&'C'].as_str(), error[&'M'].as_str()), ("08P01", message));
        let said = stack.psql(&token, "select 1").unwrap().unwrap_err();
        assert!(said.contains(&format!("FATAL:  {message}")), "{said}");
    }
}

#[test]
fn an_empty_password_is_told_where_the_token_goes() {
    let stack = shared().unwrap();
    let mut raw = Raw::secured(&stack);
    raw.startup(V3_0, &[("user", TARGET)]);
    raw.password("");
    let error = raw.refusal();
    assert_eq!((error[&'C'].as_str(), error[&'M'].as_str()), ("28000", "no token was shown"));
    assert_eq!(error[&'H'], "give the token where the client asks for a password, such as PGPASSWORD");
    assert!(raw.is_closed());
}

fn psql(stack: &Stack) -> Command {
    let mut psql = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
    psql.args(["-X", "-A", "-t", "-c", "show application_name"]);
    psql
}

#[test]
fn the_workloads_own_name_stands_behind_the_writs() {
    let stack = shared().unwrap();
    let said = printed(psql(&stack).env("PGAPPNAME", "nightly report")).unwrap();
    assert!(said.starts_with("writ-") && said.ends_with(" nightly report"), "{said}");
    let said = printed(psql(&stack).env("PGAPPNAME", "a".repeat(200))).unwrap();
    assert_eq!(said.len(), 63, "{said}");
    assert!(said.starts_with("writ-"), "{said}");
}

#[test]
fn a_role_that_policy_does_not_grant_is_refused_like_a_target() {
    let stack = shared().unwrap();
    let mut permitted = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
    let said = printed(permitted.env("PGUSER", "payments/app").args(["-X", "-A", "-t", "-c", "select current_user"]));
    assert_eq!(said.unwrap(), "app");
    let words = ["28000", "this is not permitted by policy", "ask the operator of this gateway, and quote the request"];
    check(
        &stack,
        "payments/postgres",
        &stack.token().unwrap(),
        words,
        "policy.role_not_granted",
        "no matching policy grants the role",
    );
}
