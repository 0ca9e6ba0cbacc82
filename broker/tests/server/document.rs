//! The OpenAPI document: made here from one table of operations and the schemas of the wire types, held to the file that is
//! checked in and to the routes that are served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};
use writ_broker_api::{admin, approval as approval_api, gateway, paths, problem, token, trial};

/// The checked-in document.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api/openapi.json");
/// How it is made again.
const BLESS: &str = "WRIT_BLESS=1 cargo test -p writ-broker --test server document";

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain";

type Schemas = BTreeMap<String, Value>;
type Shape = fn(&mut Schemas) -> Value;

/// Who may call.
#[derive(Clone, Copy)]
enum Caller {
    Anyone,
    Human,
    Gateway,
}

/// One method of one path.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    caller: Caller,
    query: Option<Shape>,
    body: Option<(&'static str, Shape)>,
    answer: Option<(&'static str, Shape)>,
}

impl Operation {
    fn query<T: ToSchema>(self) -> Self {
        Self { query: Some(|_| inline::<T>()), ..self }
    }

    fn body(self, media: &'static str, shape: Shape) -> Self {
        Self { body: Some((media, shape)), ..self }
    }

    fn answer(self, media: &'static str, shape: Shape) -> Self {
        Self { answer: Some((media, shape)), ..self }
    }
}

const fn operation(caller: Caller, method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    Operation { method, path, summary, caller, query: None, body: None, answer: None }
}

fn inline<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).expect("a schema is JSON")
}

/// A reference to a type's schema, which is added to the document with those that it refers to.
fn named<T: ToSchema>(schemas: &mut Schemas) -> Value {
    let mut inner = Vec::new();
    T::schemas(&mut inner);
    for (name, schema) in inner {
        schemas.insert(name, serde_json::to_value(schema).expect("a schema is JSON"));
    }
    let name = T::name().into_owned();
    schemas.insert(name.clone(), inline::<T>());
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list<T: ToSchema>(schemas: &mut Schemas) -> Value {
    json!({ "type": "array", "items": named::<T>(schemas) })
}

fn page<T: ToSchema>(schemas: &mut Schemas) -> Value {
    page_of(named::<T>(schemas))
}

fn page_of(item: Value) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": { "type": "array", "items": item, "description": "the rows, newest first" },
            "next": { "type": ["string", "null"], "description": "pass it as `after` for the next page; absent on the last" },
        },
    })
}

fn text(_: &mut Schemas) -> Value {
    json!({ "type": "string" })
}

fn bytes(_: &mut Schemas) -> Value {
    json!({ "type": "string", "format": "binary" })
}

fn base64(_: &mut Schemas) -> Value {
    json!({ "type": "string", "contentEncoding": "base64" })
}

fn object(_: &mut Schemas) -> Value {
    json!({ "type": "object" })
}

fn writ(schemas: &mut Schemas) -> Value {
    let shape = json!({
        "type": "object",
        "description": "One issued credential: who got it, for what, by which policy, and what became of it.",
        "required": ["id"],
        "properties": { "id": { "type": "string" } },
    });
    schemas.insert("Writ".to_owned(), shape);
    json!({ "$ref": "#/components/schemas/Writ" })
}

fn freeze(schemas: &mut Schemas) -> Value {
    let shape = json!({
        "type": "object",
        "description": "A freeze in force: what it covers, why, who ordered it, and since when.",
        "required": ["id", "scope", "reason", "by", "at"],
        "properties": {
            "id": { "type": "string" },
            "scope": { "type": "object" },
            "reason": { "type": "string" },
            "by": { "type": "object" },
            "at": { "type": "string" },
        },
    });
    schemas.insert("Freeze".to_owned(), shape);
    json!({ "$ref": "#/components/schemas/Freeze" })
}

fn approval(schemas: &mut Schemas) -> Value {
    let (text, list) = (json!({ "type": "string" }), json!({ "type": "array" }));
    let shape = json!({
        "type": "object",
        "description": "A question to humans about one held command, and their answers.",
        "required": ["id", "session", "writ", "issuer", "subject", "target", "statement", "digest", "needed", "state"],
        "properties": {
            "id": text, "session": text, "writ": text, "issuer": text, "subject": text, "target": text,
            "statement": text, "parameters": list, "digest": text, "policies": list, "groups": list,
            "needed": { "type": "integer" }, "asked": text, "expires": text, "state": text, "votes": list,
        },
    });
    schemas.insert("Approval".to_owned(), shape);
    json!({ "$ref": "#/components/schemas/Approval" })
}

fn approvals(schemas: &mut Schemas) -> Value {
    json!({ "type": "array", "items": approval(schemas) })
}

fn freezes(schemas: &mut Schemas) -> Value {
    json!({ "type": "array", "items": freeze(schemas) })
}

fn writs(schemas: &mut Schemas) -> Value {
    page_of(writ(schemas))
}

fn operations() -> Vec<Operation> {
    let mut all = public();
    all.extend(humans());
    all.extend(gateways());
    all
}

fn public() -> Vec<Operation> {
    let open = |method, path, summary| operation(Caller::Anyone, method, path, summary);
    vec![
        open("get", paths::HEALTHZ, "Liveness.").answer(TEXT, text),
        open("get", paths::READYZ, "Readiness: the ledger can be written.").answer(TEXT, text),
        open("get", paths::OPENAPI, "This document.").answer(JSON, object),
        open("get", paths::LOGIN, "How humans log in.").answer(JSON, named::<admin::Login>),
        open("get", paths::DISCOVERY, "OpenID Connect Discovery of the broker as an issuer.").answer(JSON, object),
        open("get", paths::JWKS, "The keys of the broker as an issuer (RFC 7517).").answer(JSON, object),
        open("post", paths::TOKEN, "RFC 8693 token exchange: a workload's OIDC token for a session token.")
            .body(FORM, named::<token::ExchangeRequest>)
            .answer(JSON, named::<token::ExchangeReply>),
        open("post", paths::TRIALS, "Tries a target for the workload whose token is the bearer token.")
            .body(JSON, named::<trial::TrialRequest>)
            .answer(JSON, named::<trial::TrialReply>),
        open(
            "post",
            paths::WEBHOOK_ANSWERS,
            "An answer of a channel (Slack, Teams, PagerDuty), in the channel's form and signed as it signs.",
        )
        .answer(JSON, object),
        open("get", paths::SSH_REVOCATIONS, "The revocation list of an SSH authority, in OpenSSH's binary form.")
            .answer(BYTES, bytes),
        open("get", paths::CHECKPOINT, "The newest checkpoint: a C2SP signed note.").answer(TEXT, text),
        open("get", paths::LEDGER_TILE, "A tile of the ledger's hashes, as C2SP tlog-tiles lays it out.")
            .answer(BYTES, bytes),
    ]
}

fn humans() -> Vec<Operation> {
    let human = |method, path, summary| operation(Caller::Human, method, path, summary);
    let order = named::<admin::Order> as Shape;
    vec![
        human("get", paths::METRICS, "Prometheus metrics. Needs `view`.").answer(TEXT, text),
        human("get", paths::LEDGER_ENTRIES, "A tile of the ledger's entries (C2SP tlog-tiles). Needs `view`.")
            .answer(BYTES, bytes),
        human("get", paths::ME, "Who the caller is and what it may do.").answer(JSON, named::<admin::Me>),
        human("get", paths::WRITS, "Writs, newest first. Needs `view`.")
            .query::<admin::ListQuery>()
            .answer(JSON, writs),
        human("get", paths::WRIT, "One writ. Needs `view`.").answer(JSON, writ),
        human("post", paths::WRIT_REVOKE, "Revokes a writ. Needs `admin`.").body(JSON, order).answer(JSON, writ),
        human("get", paths::SESSIONS, "Sessions, newest first. Needs `view`.")
            .query::<admin::SessionsQuery>()
            .answer(JSON, page::<admin::Session>),
        human("get", paths::SESSION, "One session. Needs `view`.").answer(JSON, named::<admin::Session>),
        human("post", paths::SESSION_KILL, "Kills a session. Needs `admin`.")
            .body(JSON, order)
            .answer(JSON, named::<admin::Session>),
        human("get", paths::SEGMENT, "A sealed segment, as stored: ciphertext. Needs `audit`.").answer(BYTES, bytes),
        human("post", paths::RECORDING_KEY, "The key to a recording; the reading is an event. Needs `audit`.")
            .body(JSON, base64)
            .answer(JSON, named::<admin::RecordingKey>),
        human("get", paths::TARGETS, "Targets, and what mints for them. Needs `view`.")
            .answer(JSON, list::<admin::TargetFacts>),
        human("post", paths::TARGET_PROBE, "Asks a target's provider whether a mint would work. Needs `admin`."),
        human(
            "post",
            paths::TARGET_REVOKE_OLDER,
            "Takes back everything that was minted at a target until now. Needs `admin`.",
        )
        .body(JSON, order)
        .answer(JSON, named::<admin::OlderRevoked>),
        human("post", paths::TARGET_ROTATE, "Has a target's password changed now, in its turn. Needs `admin`.")
            .body(JSON, order)
            .answer(JSON, named::<admin::RotationFacts>),
        human("get", paths::TARGET_SSH, "What SSH hosts must know of a target's authority. Needs `view`.")
            .answer(JSON, named::<admin::SshFacts>),
        human("post", paths::TARGET_SSH_HOSTS, "Signs a certificate of an SSH host. Needs `admin`.")
            .body(JSON, named::<admin::HostCertificateRequest>)
            .answer(JSON, named::<admin::HostCertificateReply>),
        human("get", paths::APPROVALS, "What humans are asked, newest first. Needs `approve`.")
            .query::<approval_api::ApprovalsQuery>()
            .answer(JSON, approvals),
        human("get", paths::APPROVAL, "One question to humans. Needs `approve`.").answer(JSON, approval),
        human("post", paths::APPROVAL_VOTES, "Answers a question. Needs `approve`.")
            .body(JSON, named::<approval_api::VoteRequest>)
            .answer(JSON, approval),
        human(
            "post",
            paths::APPROVAL_BREAK_GLASS,
            "Lets what is asked about go on by one human alone; two reviews are due then. Needs `break_glass`.",
        )
        .body(JSON, named::<approval_api::BreakGlassRequest>)
        .answer(JSON, approval),
        human("post", paths::APPROVAL_REVIEWS, "Reviews what another human let go on alone. Needs `approve`.")
            .body(JSON, named::<approval_api::ReviewRequest>)
            .answer(JSON, approval),
        human("get", paths::FREEZES, "What is frozen, newest first. Needs `view`.").answer(JSON, freezes),
        human("post", paths::FREEZES, "Freezes a workload, a target or everything. Needs `admin`.")
            .body(JSON, named::<admin::FreezeRequest>)
            .answer(JSON, freeze),
        human("delete", paths::FREEZE, "Lifts a freeze. Needs `admin`.")
            .query::<admin::UnfreezeQuery>()
            .answer(JSON, freeze),
        human("post", paths::JOIN_TOKENS, "Makes a join token. Needs `admin`.")
            .body(JSON, named::<admin::JoinTokenRequest>)
            .answer(JSON, named::<admin::JoinToken>),
        human("get", paths::GATEWAYS, "All gateways. Needs `view`.").answer(JSON, list::<admin::Gateway>),
        human("post", paths::GATEWAY_REVOKE, "Revokes a gateway. Needs `admin`."),
    ]
}

fn gateways() -> Vec<Operation> {
    let peer = |method, path, summary| operation(Caller::Gateway, method, path, summary);
    vec![
        operation(Caller::Anyone, "post", paths::GATEWAY_ENROL, "A gateway joins; the join token is used up.")
            .body(JSON, named::<gateway::EnrolRequest>)
            .answer(JSON, named::<gateway::EnrolReply>),
        peer("post", paths::GATEWAY_RENEW, "A gateway renews its certificate.")
            .body(JSON, named::<gateway::RenewRequest>)
            .answer(JSON, named::<gateway::RenewReply>),
        peer("get", paths::GATEWAY_STREAM, "Heartbeats, policy, kills and checkpoints: one message on each line.")
            .answer("application/x-ndjson", named::<gateway::StreamMessage>),
        peer("post", paths::GATEWAY_SYNC, "A gateway tells which sessions live.")
            .body(JSON, named::<gateway::SyncRequest>)
            .answer(JSON, named::<gateway::SyncReply>),
        peer("post", paths::GATEWAY_APPROVALS, "Asks humans about a command that is held.")
            .body(JSON, named::<approval_api::ApprovalRequest>)
            .answer(JSON, named::<approval_api::ApprovalReply>),
        peer("get", paths::GATEWAY_APPROVAL, "Where a question stands.")
            .answer(JSON, named::<approval_api::ApprovalReply>),
        peer("delete", paths::GATEWAY_APPROVAL, "Withdraws a question."),
        peer("post", paths::GATEWAY_APPROVAL_USE, "Uses an approval, once.")
            .answer(JSON, named::<approval_api::ApprovalReply>),
        peer(
            "post",
            paths::SESSIONS,
            "Opens a session; the credential is sealed to the gateway. Where humans are asked first, the answer is 202 and an `ApprovalReply`.",
        )
            .body(JSON, named::<gateway::OpenRequest>)
            .answer(JSON, named::<gateway::OpenReply>),
        peer("post", paths::SESSION_CLOSE, "Reports that a session ended.").body(JSON, named::<gateway::CloseRequest>),
        peer("put", paths::SEGMENT, "Stores a sealed segment.").query::<gateway::SegmentFacts>().body(BYTES, bytes),
    ]
}

/// The path as OpenAPI writes it: the router's mark of a path's rest is not part of the name.
fn written(path: &str) -> String {
    path.replace("{*", "{")
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let path = written(operation.path);
    let mut all: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": path_schema(name) }))
        .collect();
    let query = operation.query.map(|shape| shape(schemas)).unwrap_or_default();
    let required: BTreeSet<&str> =
        query["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, schema) in query["properties"].as_object().into_iter().flatten() {
        all.push(
            json!({ "name": name, "in": "query", "required": required.contains(name.as_str()), "schema": schema }),
        );
    }
    all
}

fn path_schema(name: &str) -> Value {
    match name {
        "sequence" => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        "stream" => json!({ "type": "string", "enum": ["commands", "rows"] }),
        _ => json!({ "type": "string" }),
    }
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut all = Map::new();
    match operation.answer {
        Some((media, shape)) => {
            let content = json!({ media: { "schema": shape(schemas) } });
            all.insert("200".to_owned(), json!({ "description": "done", "content": content }));
        }
        None => {
            all.insert("204".to_owned(), json!({ "description": "done" }));
        }
    }
    if operation.path == paths::TOKEN {
        let content = json!({ JSON: { "schema": named::<token::ExchangeError>(schemas) } });
        all.insert("default".to_owned(), json!({ "description": "refused (RFC 6749, 5.2)", "content": content }));
        return Value::Object(all);
    }
    let mut refusals: Vec<(&str, &str)> = vec![("default", "refused")];
    if operation.body.is_some() || operation.query.is_some() {
        refusals.push(("400", "the request is malformed"));
    }
    if operation.body.is_some() {
        refusals.push(("413", "the body is too long"));
    }
    match operation.caller {
        Caller::Anyone => {}
        Caller::Human => refusals.extend([("401", "no token that is accepted"), ("403", "policy does not permit it")]),
        Caller::Gateway => refusals.push(("401", "no certificate of a gateway that is accepted")),
    }
    if operation.path.contains('{') {
        refusals.push(("404", "there is no such thing"));
    }
    named::<problem::Problem>(schemas);
    for (status, description) in refusals {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let content = json!({ problem::MEDIA_TYPE: { "schema": schema } });
        all.insert(status.to_owned(), json!({ "description": description, "content": content }));
    }
    Value::Object(all)
}

fn operation_json(operation: &Operation, schemas: &mut Schemas) -> Value {
    let security = match operation.caller {
        Caller::Anyone => json!([]),
        Caller::Human => json!([{ "human": [] }]),
        Caller::Gateway => json!([{ "gateway": [] }]),
    };
    let mut all = json!({
        "summary": operation.summary,
        "parameters": parameters(operation, schemas),
        "security": security,
        "responses": responses(operation, schemas),
    });
    if let Some((media, shape)) = operation.body {
        all["requestBody"] = json!({ "required": true, "content": { media: { "schema": shape(schemas) } } });
    }
    all
}

fn generated() -> Value {
    let mut schemas = Schemas::new();
    let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let made = operation_json(&operation, &mut schemas);
        all.entry(written(operation.path)).or_default().insert(operation.method.to_owned(), made);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Writ broker",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": all,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "gateway": { "type": "mutualTLS", "description": "the certificate that enrolment gave" },
                "human": { "type": "http", "scheme": "bearer", "description": "an OIDC token of the humans' issuer, or the admin token" },
            },
        },
    })
}

/// What `server/mod.rs` routes, as (method, path): read from its text, since a router does not tell.
pub(crate) fn routed() -> BTreeSet<(String, String)> {
    let source = include_str!("../../src/server/mod.rs");
    let constants = include_str!("../../api/src/paths.rs");
    let value = |name: &str| {
        let start = format!("pub const {name}: &str = \"");
        let rest = constants.split_once(&start).unwrap_or_else(|| panic!("no constant `{name}`")).1;
        rest.split_once('"').expect("a string ends").0.to_owned()
    };
    let mut all = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let (name, rest) = route.split_once(',').expect("a path, then methods");
        let path = value(name.trim().strip_prefix("paths::").expect("a constant of `paths`"));
        let methods = rest.split(';').next().unwrap_or_default();
        for method in ["get", "post", "put", "delete", "patch"] {
            if methods.contains(&format!("{method}(")) {
                all.insert((method.to_owned(), path.clone()));
            }
        }
    }
    all
}

#[test]
fn the_document_checked_in_is_the_one_the_code_makes() {
    let made = serde_json::to_string_pretty(&generated()).expect("JSON") + "\n";
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(FILE, &made).expect("the file can be written");
    }
    let checked_in = std::fs::read_to_string(FILE).expect("the file can be read");
    assert!(checked_in == made, "`broker/api/openapi.json` is not what the code makes: run `{BLESS}`");
}

#[test]
fn the_document_has_each_route_and_no_other() {
    let documented: BTreeSet<(String, String)> =
        operations().iter().map(|operation| (operation.method.to_owned(), operation.path.to_owned())).collect();
    assert_eq!(documented, routed());
    assert!(documented.len() > 20, "the routes were read");
}

#[test]
fn each_reference_in_the_document_leads_somewhere() {
    let document = generated();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().expect("a string");
        assert!(document.pointer(pointer).is_some(), "`{pointer}` leads nowhere");
    }
}
