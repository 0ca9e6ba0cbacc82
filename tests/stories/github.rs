//! A policy for one repository on GitHub, written by its numbers, and what a job is told that misses it.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_world::stack::binary;

use crate::coverage::root;

const SECRET: &str = "canary-of-the-api-7f31";

/// A fake of GitHub's REST API that knows one repository, and another that was renamed. It answers nobody who asks otherwise than
/// its documentation says.
fn api() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    // It ends with the process.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            answer(socket.unwrap());
        }
    });
    url
}

fn answer(mut socket: TcpStream) {
    let mut head = Vec::new();
    for byte in BufReader::new(&socket).bytes() {
        head.push(byte.unwrap());
        if head.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let has = |line: &str| head.lines().any(|own| own == line);
    let documented = has("accept: application/vnd.github+json")
        && has("x-github-api-version: 2022-11-28")
        && head.contains("\r\nuser-agent: ");
    let repository = |name: &str| json!({ "id": 74, "full_name": name, "owner": { "id": 65, "login": "octo-org" }, "private": true });
    let (status, body) = match head.lines().next().unwrap() {
        _ if !documented => ("400 Bad Request", json!({})),
        "get /api/v3/repos/octo-org/octo-repo http/1.1" if has(&format!("authorization: bearer {SECRET}")) => {
            ("200 OK", repository("Octo-Org/octo-repo"))
        }
        "get /api/v3/repos/octo-org/another http/1.1" => ("200 OK", repository("octo-org/octo-repo")),
        "get /api/v3/repos/octo-org/renamed http/1.1" => {
            ("301 Moved Permanently", json!({ "url": "/repositories/74" }))
        }
        _ => ("404 Not Found", json!({ "message": "Not Found" })),
    };
    let body = body.to_string();
    write!(socket, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
}

fn writ(directory: &Path, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments).current_dir(directory).env_clear().stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn secret(path: &Path, text: &str) -> String {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path.display().to_string()
}

/// A token with the example's claims, some of them changed. Nobody verifies it here.
fn token(changes: &[(&str, Value)]) -> String {
    let text = std::fs::read_to_string(root().join("examples/issuers/github-actions/claims.json")).unwrap();
    let mut claims: Value = serde_json::from_str(&text).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    claims["exp"] = json!(now + 300);
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims))
}

/// The same policy, whoever told the numbers; it lets the job in that its numbers are of, and says to another what it misses.
#[test]
fn a_policy_by_numbers_lets_its_jobs_in_and_says_to_others_what_they_miss() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("policies")).unwrap();
    std::fs::write(at.join("placeholder"), "x").unwrap();
    let configuration = std::fs::read_to_string(root().join("examples/issuers/github-actions/writ.toml")).unwrap();
    std::fs::write(at.join("writ.toml"), configuration.replace("../placeholder", "placeholder")).unwrap();
    let (own, api_token) = (secret(&at.join("token"), &token(&[])), secret(&at.join("api-token"), SECRET));
    let from = |more: &[&str]| {
        let start =
            ["policy", "from-github", "octo-org/octo-repo", "--environment", "production", "--target", "payments-db"];
        writ(at, &[&start, more].concat())
    };
    let (done, policy, noted) = from(&["--repository-id", "74", "--owner-id", "65"]);
    assert!(done && noted.is_empty(), "{noted}");
    assert_eq!(from(&["--token", &own]).1, policy);
    let (done, asked, noted) = from(&["--api", &api(), "--api-token-file", &api_token]);
    assert!(done, "{noted}");
    assert_eq!(asked.replace("Octo-Org", "octo-org"), policy);
    std::fs::write(at.join("policies/github.cedar"), &policy).unwrap();

    let doctor = |token: &str, more: &[&str]| {
        let file = secret(&at.join("token"), token);
        let (done, said, noted) = writ(at, &[&["doctor", "github", "--token-file", &file], more].concat());
        assert!(noted.contains("decoded, not verified") && !said.contains(token) && !noted.contains(token), "{noted}");
        (done, said, noted)
    };
    let (done, said, _) = doctor(&token(&[]), &[]);
    let proposal = "writ policy from-github octo-org/octo-repo --environment production --repository-id 74 --owner-id 65 --target TARGET";
    assert!(done && said.contains(proposal), "{said}");
    let (done, said, noted) = doctor(&token(&[]), &["--target", "payments-db"]);
    assert!(done && said.contains("connect to payments-db: allowed") && !said.contains("misses"), "{said}{noted}");
    let id = |number: &str| {
        [
            ("repository_id", json!(number)),
            ("sub", json!(format!("repo:octo-org@65/octo-repo@{number}:environment:production"))),
        ]
    };
    let environment = |name: &str| {
        [("environment", json!(name)), ("sub", json!(format!("repo:octo-org@65/octo-repo@74:environment:{name}")))]
    };
    for (claims, words) in [
        (id("75").to_vec(), "the token has `75` as `ci.repository_id`"),
        (environment("staging").to_vec(), "the token has `staging` as `ci.environment`"),
        (
            vec![("environment", Value::Null), ("sub", json!("repo:octo-org@65/octo-repo@74:ref:refs/heads/main"))],
            "the token has nothing as `ci.environment`",
        ),
    ] {
        let (done, said, noted) = doctor(&token(&claims), &["--target", "payments-db"]);
        assert!(!done && noted.contains("policy does not let this job in (policy.no_permit)"), "{noted}");
        assert!(
            said.contains("github-octo-org-octo-repo-production-payments-db misses:") && said.contains(words),
            "{said}"
        );
        let others = ["ci.repository_id", "ci.owner_id", "ci.environment"]
            .iter()
            .filter(|name| said.contains(&format!("as `{name}`")));
        assert_eq!(others.count(), 1, "{said}");
    }
    // What the broker would refuse before it asks policy.
    let (done, said, noted) =
        doctor(&token(&[("iss", json!("https://token.actions.example"))]), &["--target", "payments-db"]);
    assert!(!done && said.contains("no issuer `https://token.actions.example` is configured"), "{said}{noted}");
    let (done, said, noted) = doctor(&token(&[("repository_id", json!("75"))]), &["--target", "payments-db"]);
    assert!(!done && said.contains("the broker would refuse the token: "), "{said}{noted}");
}

#[test]
fn numbers_that_cannot_be_had_are_not_made_up() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let api_token = secret(&at.join("api-token"), "another");
    let other = secret(&at.join("token"), &token(&[]));
    let api = api();
    for (name, more, words) in [
        ("octo-org/octo-repo", [].as_slice(), "nobody says which number `octo-org/octo-repo` has"),
        ("octo-org/octo-repo", &["--api", &api], "is the name right?"),
        ("octo-org/octo-repo", &["--api", &api, "--api-token-file", &api_token], "(status 404)"),
        ("octo-org/renamed", &["--api", &api], "the repository was renamed"),
        (
            "octo-org/another",
            &["--api", &api],
            "GitHub's API is about `octo-org/octo-repo`, not about `octo-org/another`",
        ),
        ("octo-org/octo-repo", &["--api", "http://api.example"], "is no address of an API"),
        ("octo-org/octo-repo", &["--api", "http://127.0.0.1:1"], "GitHub's API cannot be asked"),
        ("octo-org/another", &["--token", &other], "the token is about `octo-org/octo-repo`"),
        ("octo-repo", &["--repository-id", "74", "--owner-id", "65"], "names no repository"),
    ] {
        let start = ["policy", "from-github", name, "--environment", "production", "--target", "payments-db"];
        let (done, said, noted) = writ(at, &[&start, more].concat());
        assert!(!done && said.is_empty() && noted.contains(words), "{more:?}: {said}{noted}");
    }
    // In a job that may have no token, the doctor says what to write.
    let mut command = Command::new(binary().unwrap());
    command.args(["doctor", "github"]).env_clear().env("GITHUB_ACTIONS", "true").stdin(Stdio::null());
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("this job may not have ID tokens") && said.contains("id-token: write"), "{said}");
}
