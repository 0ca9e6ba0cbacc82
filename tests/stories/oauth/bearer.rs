//! A token that the program has already: given by libpq 18's hook.

use std::path::Path;

use serde_json::{Value, json};
use writ_world::stack::printed;

use super::super::clients::{fetched, program};
use super::super::evidence::{admin, eventually, holding};
use super::{House, house, libpq_18, psql_18};

const STATEMENT: &str = "select current_user, 6 * 7";

/// What `conninfo` brings at the listener that asks for OAUTHBEARER, or at the usual one.
fn libpq(house: &House, usual: bool, token: &str, conninfo: &str) -> Value {
    let python = fetched("venv").unwrap().join("bin/python");
    let mut command = if usual { house.stack.client(&python, token) } else { house.bearer_client(&python, token) };
    command.arg(program("libpq_oauth.py")).arg(libpq_18().unwrap()).args([conninfo, STATEMENT]);
    serde_json::from_str(&printed(&mut command).unwrap()).unwrap()
}

fn error(said: &Value) -> &str {
    said["error"].as_str().unwrap_or_else(|| panic!("no error: {said}"))
}

#[test]
fn libpq_18_gives_its_token_by_the_hook_and_is_recorded() {
    let house = house().unwrap();
    let token = house.stack.token().unwrap();
    let conninfo = format!("oauth_issuer={} oauth_client_id=ci application_name=hooked", house.discovery());
    let said = libpq(&house, false, &token, &conninfo);
    assert_eq!(said["rows"], json!([["app", "42"]]), "{said}");
    assert_eq!(said["asked"], json!([{"discovery": house.discovery(), "scope": null}]), "{said}");
    assert!(said["libpq"].as_u64().is_some_and(|version| version / 10_000 == 18), "{said}");

    eventually(|| {
        let page: Value = serde_json::from_str(&admin(&house.stack, &["sessions", "ls", "--json"])?).unwrap();
        for row in page["items"].as_array().ok_or("no sessions")? {
            let id = row["id"].as_str().ok_or("no id")?;
            let replay = admin(&house.stack, &["sessions", "replay", id, "--json"]).unwrap_or_default();
            if replay.contains(STATEMENT) && !replay.contains(&token) {
                return Ok(());
            }
        }
        Err(format!("not recorded: {page}"))
    })
    .unwrap();
    assert_eq!(holding(house.stack.state(), token.as_bytes()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_client_that_knows_the_issuer_alone_is_told_where_and_what_to_ask() {
    let house = house().unwrap();
    let conninfo = format!("oauth_issuer={} oauth_client_id=ci", house.issuer.url());
    let said = libpq(&house, false, &house.stack.token().unwrap(), &conninfo);
    assert_eq!(said["rows"], json!([["app", "42"]]), "{said}");
    assert_eq!(said["asked"], json!([{"discovery": house.discovery(), "scope": "openid"}]), "{said}");
}

#[test]
fn a_client_of_another_issuer_does_not_show_its_token() {
    let house = house().unwrap();
    let said = libpq(&house, false, "a.b.c", "oauth_issuer=https://else.test oauth_client_id=ci");
    assert!(error(&said).contains("is incompatible with oauth_issuer (https://else.test)"), "{said}");
    assert_eq!(said["asked"], json!([]), "{said}");
}

#[test]
fn a_token_that_is_refused_says_so_in_the_clients_error() {
    let house = house().unwrap();
    let conninfo = format!("oauth_issuer={} oauth_client_id=ci", house.discovery());
    let used = house.stack.token().unwrap();
    assert!(libpq(&house, false, &used, &conninfo)["rows"].is_array());
    for (token, words) in [("a.b.c", "FATAL:  the token was refused"), (&used, "FATAL:  the token was used as often")] {
        let said = libpq(&house, false, token, &conninfo);
        assert!(error(&said).contains(words) && error(&said).contains("HINT:  get a fresh token"), "{said}");
    }
    // Before the error comes where to get another token (RFC 7628, 3.2.2): libpq holds it against the issuer that it knows.
    let elsewhere = "oauth_issuer=https://else.test/.well-known/openid-configuration oauth_client_id=ci";
    let said = libpq(&house, false, "a.b.c", elsewhere);
    assert!(error(&said).contains("is incompatible with oauth_issuer (https://else.test)"), "{said}");
}

#[test]
fn the_option_chooses_for_one_connection() {
    let house = house().unwrap();
    let conninfo = format!("oauth_issuer={} oauth_client_id=ci options='-c writ.auth=oauthbearer'", house.discovery());
    let said = libpq(&house, true, &house.stack.token().unwrap(), &conninfo);
    assert_eq!(said["rows"], json!([["app", "42"]]), "{said}");

    // The other way round, with a client that has no OAUTHBEARER.
    let mut psql = house.bearer_client(Path::new("/usr/bin/psql"), &house.stack.token().unwrap());
    psql.env("PGOPTIONS", "-c writ.auth=password").args(["-X", "-A", "-t", "-c", STATEMENT]);
    assert_eq!(printed(&mut psql).unwrap(), "app|42");

    let mut psql = house.bearer_client(Path::new("/usr/bin/psql"), "x");
    psql.env("PGOPTIONS", "-c writ.auth=scram").args(["-X", "-c", STATEMENT]);
    let refused = printed(&mut psql).unwrap_err();
    assert!(refused.contains("no such login method: `scram`") && refused.contains("HINT"), "{refused}");
}

#[test]
fn a_listener_that_names_no_issuer_takes_a_token_and_says_so_without_one() {
    let house = house().unwrap();
    let conninfo = format!("oauth_issuer={} oauth_client_id=ci options='-c writ.auth=oauthbearer'", house.issuer.url());
    let said = libpq(&house, true, &house.stack.token().unwrap(), &conninfo);
    assert!(error(&said).contains("FATAL:  no token was shown"), "{said}");
    assert!(error(&said).contains("names no issuer to get one from"), "{said}");
    assert_eq!(said["asked"], json!([]), "{said}");
}

#[test]
fn a_client_without_oauthbearer_is_told_by_itself() {
    let house = house().unwrap();
    let mut old = house.bearer_client(Path::new("/usr/bin/psql"), &house.stack.token().unwrap());
    let refused = printed(old.args(["-X", "-c", STATEMENT])).unwrap_err();
    assert!(refused.contains("none of the server's SASL authentication mechanisms are supported"), "{refused}");

    let mut new = house.bearer_client(&psql_18().unwrap(), &house.stack.token().unwrap());
    let refused = printed(new.args(["-X", "-c", STATEMENT])).unwrap_err();
    assert!(refused.contains("oauth_issuer and oauth_client_id are not both set"), "{refused}");
}

#[test]
fn channel_binding_cannot_be_had_with_a_token() {
    let house = house().unwrap();
    let conninfo = format!("oauth_issuer={} oauth_client_id=ci channel_binding=require", house.discovery());
    let said = libpq(&house, false, &house.stack.token().unwrap(), &conninfo);
    assert!(error(&said).contains("channel binding"), "{said}");
}

#[test]
fn oauthbearer_is_not_taken_in_the_clear() {
    let house = house().unwrap();
    let conninfo = format!("sslmode=disable oauth_issuer={} oauth_client_id=ci", house.discovery());
    let said = libpq(&house, false, &house.stack.token().unwrap(), &conninfo);
    assert!(error(&said).contains("FATAL:  oauthbearer is not taken without TLS"), "{said}");
    assert_eq!(said["asked"], json!([]), "{said}");
}

#[test]
fn a_listener_for_oauthbearer_whose_tokens_nobody_could_use_does_not_pass_the_check() {
    let house = house().unwrap();
    let path = house.stack.state().join("writ.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let check = |changed: String, words: &str| {
        let copy = house.stack.state().join("changed.toml");
        std::fs::write(&copy, changed).unwrap();
        let checked = house.stack.writ(&["check", "--config", copy.to_str().unwrap()]).unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(!checked.status.success() && said.contains(words), "{said}");
    };
    let lacking: String =
        text.lines().filter(|line| !line.starts_with("oauth = ")).map(|line| format!("{line}\n")).collect();
    check(lacking, "add `oauth = { issuer = ");
    check(
        text.replace("oauth = { issuer = \"https://", "oauth = { issuer = \"https://x."),
        "refuse every token of this issuer",
    );
}
