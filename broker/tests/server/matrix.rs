//! Who may call what: `matrix.txt`, driven cell by cell. Each cell is one well-formed request about things that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use writ_broker_api::gateway::OpenReply;
use writ_broker_api::paths;

use crate::document::routed;
use crate::domain::Domain;
use crate::provider::AUTHORITY;
use crate::world::{ADMIN_TOKEN, Gateway, World, csr, sealing_key};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/matrix.txt");
const HEAD: &str = "\
# Who may call what, and the status that they get. The columns:
#   nobody     neither certificate nor token          gateway   the certificate of an enrolled gateway
#   garbage    a bearer token that is none            revoked   the certificate of a revoked gateway
#   viewer, auditor, approver, admin                  foreign   a gateway's certificate of another authority
#              a human's token, in that group         workload  a workload's token, good for a session, as bearer
#   root       the token of the admin token file      svid      the X.509-SVID of a workload, good for a session token
#   tls        (a cell) the connection is refused     strange   the same, of another authority
";

/// How one caller shows itself.
struct Caller {
    name: &'static str,
    client: Client,
    bearer: Option<String>,
}

async fn callers(world: &World, gateway: &Gateway) -> Vec<Caller> {
    let plain = world.client(None);
    let bearer = |name, token: String| Caller { name, client: plain.clone(), bearer: Some(token) };
    let human = |name, group| bearer(name, world.humans.token("ann", &[group]));
    let certificate = |name, pem: &str| Caller { name, client: world.client(Some(pem)), bearer: None };
    let revoked = world.enrol().await;
    world.revoke(&revoked).await;
    vec![
        Caller { name: "nobody", client: plain.clone(), bearer: None },
        bearer("garbage", "garbage".to_owned()),
        human("viewer", "viewers"),
        human("auditor", "auditors"),
        human("approver", "approvers"),
        human("admin", "admins"),
        bearer("root", ADMIN_TOKEN.to_owned()),
        certificate("gateway", &gateway.identity),
        certificate("revoked", &revoked.identity),
        certificate("foreign", &foreign_identity(gateway)),
        bearer("workload", world.workloads.token("job", &["admins"])),
        certificate("svid", &world.domain.svid("/job")),
        certificate("strange", &Domain::new("prod.example").svid("/job")),
    ]
}

/// A certificate that names an enrolled gateway, of an authority that is not the broker's.
pub(crate) fn foreign_identity(gateway: &Gateway) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = writ_broker::ca::CertificateAuthority::load_or_create(directory.path(), &mut Vec::new());
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let now = writ_core::time::Timestamp::now();
    let life = std::time::Duration::from_secs(3600);
    let issued = authority.expect("an authority").issue_gateway(gateway.id, &csr(&key), now, life).expect("issued");
    format!("{}{}", issued.pem, key.serialize_pem())
}

/// What a path's names stand for in one cell: its own session, and a gateway to lose.
struct Things {
    session: OpenReply,
    victim: Option<Gateway>,
    /// A freeze to lift.
    freeze: String,
    /// A question to humans, and the digest of what is asked.
    approval: (String, String),
    /// The number of a tile that the ledger has.
    tile: String,
}

impl Things {
    async fn make(world: &World, gateway: &Gateway, path: &str) -> Self {
        let victim = if path.contains("{gateway}") { Some(world.enrol().await) } else { None };
        let freeze = if path.contains("{freeze}") { frozen(world).await } else { String::new() };
        let session = world.open(gateway).await;
        let approval = if path.contains("{approval}") {
            asked(world, gateway, &session, path.ends_with("/use")).await
        } else {
            <(String, String)>::default()
        };
        Self { session, victim, freeze, approval, tile: tile(world).await }
    }

    fn path(&self, path: &str) -> String {
        let victim = self.victim.as_ref().map(|gateway| gateway.id.to_string()).unwrap_or_default();
        path.replace("{gateway}", &victim)
            .replace("{freeze}", &self.freeze)
            .replace("{approval}", &self.approval.0)
            .replace("{session}", &self.session.session.to_string())
            .replace("{target}", "orders")
            .replace("{authority}", AUTHORITY)
            .replace("{writ}", &self.session.writ.to_string())
            .replace("{stream}", "commands")
            .replace("{sequence}", "0")
            .replace("entries/{*path}", &format!("entries/{}", self.tile))
            .replace("{*path}", &format!("0/{}", self.tile))
    }
}

pub(crate) fn question(session: &OpenReply) -> writ_broker_api::approval::ApprovalRequest {
    use writ_broker_api::approval::{About, ApprovalRequest, digest};
    let about = About {
        issuer: &session.workload.issuer,
        subject: &session.workload.subject,
        target: &session.target.name,
        role: session.obligations.role.as_deref(),
        database: "shop",
        schemas: &[],
    };
    let statement = "delete from orders".to_owned();
    ApprovalRequest {
        session: session.session,
        database: "shop".to_owned(),
        schemas: Vec::new(),
        digest: digest(&about, &statement, &[], &session.policy_hash),
        statement,
        parameters: Vec::new(),
        fingerprint: writ_core::statement::Fingerprint([7; 16]),
        policies: vec!["hold".to_owned()],
        policy_hash: session.policy_hash.clone(),
        groups: Vec::new(),
        needed: 1,
        timeout_seconds: 60,
    }
}

/// A question to humans about a command of this session, and its digest; answered with yes where that is wanted.
async fn asked(world: &World, gateway: &Gateway, session: &OpenReply, approved: bool) -> (String, String) {
    let question = question(session);
    let request = world.client(Some(&gateway.identity)).post(world.url(paths::GATEWAY_APPROVALS)).json(&question);
    let made: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
    let id = made["approval"].as_str().expect("an approval").to_owned();
    if approved {
        let vote = json!({ "approve": true, "reason": "a test", "digest": question.digest });
        let url = world.url(&paths::APPROVAL_VOTES.replace("{approval}", &id));
        let answer = world.client(None).post(url).bearer_auth(ADMIN_TOKEN).json(&vote).send().await;
        assert_eq!(answer.expect("an answer").status(), 200);
    }
    (id, question.digest)
}

/// A freeze of a workload that no test has.
async fn frozen(world: &World) -> String {
    let body = json!({ "scope": { "kind": "workload", "subject": "nobody" }, "reason": "a test" });
    let request = world.client(None).post(world.url(paths::FREEZES)).bearer_auth(ADMIN_TOKEN).json(&body);
    let made: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
    made["id"].as_str().expect("a freeze").to_owned()
}

/// The first tile, as wide as the newest checkpoint says.
async fn tile(world: &World) -> String {
    let answer = world.client(None).get(world.url(paths::CHECKPOINT)).send().await.expect("an answer");
    let note = answer.text().await.expect("a note");
    let size: u64 = note.lines().nth(1).expect("a size").parse().expect("a number");
    if size < 256 { format!("000.p/{size}") } else { "000".to_owned() }
}

/// The request of one row, complete but for its caller.
async fn filled(world: &World, request: RequestBuilder, method: &str, path: &str, things: &Things) -> RequestBuilder {
    let key = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    match (method, path) {
        ("post", paths::TOKEN) => request.form(&BTreeMap::from([
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt".to_owned()),
            ("subject_token", world.workloads.token("job", &[])),
            ("audience", "orders".to_owned()),
        ])),
        ("post", paths::TARGET_SSH_HOSTS) => {
            request.json(&json!({ "key": "a key", "names": ["web.test"], "life_seconds": 60 }))
        }
        ("post", paths::TRIALS) => request.json(&json!({ "target": "orders" })),
        ("post", paths::WRIT_REVOKE | paths::SESSION_KILL | paths::TARGET_REVOKE_OLDER | paths::TARGET_ROTATE) => {
            request.json(&json!({ "reason": "a test" }))
        }
        // Nothing of the tests runs under this name: a row does not shut out those after it.
        ("post", paths::FREEZES) => {
            request.json(&json!({ "scope": { "kind": "workload", "subject": "nobody" }, "reason": "a test" }))
        }
        ("post", paths::GATEWAY_APPROVALS) => request.json(&question(&things.session)),
        ("post", paths::GATEWAY_APPROVAL_USE) => request.json(&()),
        ("post", paths::APPROVAL_VOTES) => {
            request.json(&json!({ "approve": true, "reason": "a test", "digest": things.approval.1 }))
        }
        ("post", paths::APPROVAL_BREAK_GLASS) => {
            request.json(&json!({ "reason": "a test", "digest": things.approval.1 }))
        }
        ("post", paths::APPROVAL_REVIEWS) => {
            request.json(&json!({ "justified": true, "reason": "a test", "digest": things.approval.1 }))
        }
        ("delete", paths::FREEZE) => request.query(&[("reason", "a test")]),
        ("post", paths::JOIN_TOKENS) => request.json(&json!({ "serves": { "env": "test" } })),
        ("post", paths::SESSIONS) => request.json(&world.open_body()),
        ("post", paths::RECORDING_KEY) => request.json(&things.session.wrapped_data_key),
        ("post", paths::GATEWAY_ENROL) => {
            let made = world
                .client(None)
                .post(world.url(paths::JOIN_TOKENS))
                .bearer_auth(ADMIN_TOKEN)
                .json(&json!({}))
                .send()
                .await;
            let token: serde_json::Value = made.expect("an answer").json().await.expect("JSON");
            let body =
                json!({ "join_token": token["join_token"], "csr_pem": csr(&key()), "sealing_key": sealing_key() });
            request.json(&body)
        }
        ("post", paths::GATEWAY_RENEW) => {
            request.json(&json!({ "csr_pem": csr(&key()), "sealing_key": sealing_key() }))
        }
        ("post", paths::GATEWAY_SYNC) => request.json(&json!({ "sessions": [things.session.session] })),
        ("post", paths::SESSION_CLOSE) => request
            .json(&json!({ "end": "client", "code": null, "commands": 1, "command_segments": 0, "row_segments": 0 })),
        ("put", paths::SEGMENT) => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"sealed");
            let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            request
                .query(&[("digest", digest.as_str()), ("seen_size", "0"), ("seen_root", &"0".repeat(64))])
                .body("sealed")
        }
        _ => request,
    }
}

async fn cell(world: &World, gateway: &Gateway, caller: &Caller, method: &str, path: &str) -> String {
    let things = Things::make(world, gateway, path).await;
    if (method, path) == ("get", paths::SEGMENT) {
        let client = world.client(Some(&gateway.identity));
        let put = client.put(world.url(&things.path(path)));
        let put = filled(world, put, "put", path, &things).await.send().await.expect("an answer");
        assert_eq!(put.status(), 204, "{}", put.text().await.unwrap_or_default());
    }
    let verb: Method = method.to_uppercase().parse().expect("a method");
    let request = caller.client.request(verb, world.url(&things.path(path)));
    let request = filled(world, request, method, path, &things).await;
    let request = match &caller.bearer {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    match request.send().await {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(error) if error.is_timeout() => panic!("{method} {path}: {error}"),
        Err(_) => "tls".to_owned(),
    }
}

fn line(row: &(String, String), cells: &[String]) -> String {
    let mut line = format!("{:<63}", format!("{:<4} {}", row.0, row.1));
    for cell in cells {
        write!(line, "{cell:<10}").expect("written");
    }
    line.trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_gets_what_the_matrix_says() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let callers = callers(&world, &gateway).await;
    let names: Vec<String> = callers.iter().map(|caller| caller.name.to_owned()).collect();
    let mut seen = vec![line(&("#".to_owned(), String::new()), &names)];
    for row in routed() {
        let mut cells = Vec::new();
        for caller in &callers {
            cells.push(cell(&world, &gateway, caller, &row.0, &row.1).await);
        }
        seen.push(line(&row, &cells));
    }
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(FILE, format!("{HEAD}{}\n", seen.join("\n"))).expect("the file can be written");
    }
    let written = std::fs::read_to_string(FILE).expect("the matrix");
    let expected: BTreeSet<&str> = written.lines().skip(HEAD.lines().count()).collect();
    let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    let (missing, new): (Vec<_>, Vec<_>) = (expected.difference(&seen).collect(), seen.difference(&expected).collect());
    assert!(missing.is_empty() && new.is_empty(), "the matrix says\n{missing:#?}\nseen was\n{new:#?}");
    world.stop().await;
}
