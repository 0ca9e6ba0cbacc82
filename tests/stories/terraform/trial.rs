//! A workload tries a target.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;
use writ_world::stack::{ISSUER, Stack, binary, printed};

/// The one workload that plans name by its own subject.
pub(super) const NAMED: &str = "workload:0123456789abcdef0123456789abcdef";
/// Writ's issuer, as plans name it.
pub(super) const WRITS: &str = "https://issuer.example/writ";

/// What `writ try` says.
pub(super) fn tries(stack: &Stack, target: &str, token: &str) -> Result<Value, String> {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(token.as_bytes()).unwrap();
    input.rewind().unwrap();
    let mut command = Command::new(binary().unwrap());
    command.args(["try", target, "--token-stdin", "--json", "--broker", &stack.broker(), "--ca-file"]);
    let said = printed(command.arg(stack.authority()).env_remove("WRIT_STATE").stdin(input));
    said.map(|text| serde_json::from_str(&text).unwrap())
}

/// The subject by which Writ's issuer names the stack's usual workload.
pub(super) fn usual_workload() -> String {
    let subject = "repo:acme/payments:environment:production";
    printed(Command::new(binary().unwrap()).args(["issuer", "subject", ISSUER, subject]).stdin(Stdio::null())).unwrap()
}

/// A token of another workload than that.
pub(super) fn another_workload(stack: &Stack) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({
        "iss": ISSUER, "sub": "repo:acme/payments:environment:staging", "aud": "writ", "iat": now, "nbf": now,
        "exp": now + 300, "jti": "another-workload",
    });
    stack.sign(&claims).unwrap()
}

/// Lets every workload use every target: here the cloud's trust alone decides.
pub(super) const EVERYBODY: &str = "@id(\"everybody\") @ttl(\"15m\")\npermit (principal is Writ::Workload, action in \
                                    Writ::Action::\"use\", resource is Writ::Target);\n";
