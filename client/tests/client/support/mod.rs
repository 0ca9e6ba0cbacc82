//! What the tests share: tokens nobody verifies, an environment of their own, and the fakes.

pub(crate) mod fakes;
pub(crate) mod gateway;
pub(crate) mod programs;
pub(crate) mod sigv4;

use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_client::{Audience, Environment, Fault, Found, Places, Source, Undetected};

/// What no message may hold.
pub(crate) const SECRET: &str = "canary-3f1e";

pub(crate) fn writ() -> Audience {
    Audience::new("writ").unwrap()
}

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A token with these claims and a signature that is a canary.
pub(crate) fn token(claims: &Value) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(br#"{"alg":"RS256"}"#), part(claims.to_string().as_bytes()), part(SECRET.as_bytes()))
}

/// A token for an audience that lives for five minutes: the same, whenever it is asked for.
pub(crate) fn token_for(audience: &str) -> String {
    static ENDS: LazyLock<i64> = LazyLock::new(|| now() + 300);
    token(&json!({ "iss": "https://issuer.test", "sub": "job", "aud": audience, "exp": *ENDS }))
}

/// An environment with these variables, nothing in its files, and metadata servers that do not exist.
pub(crate) fn environment(variables: &[(&str, &str)]) -> Environment {
    within(variables, Path::new("/nonexistent"), nowhere())
}

pub(crate) fn within(variables: &[(&str, &str)], root: &Path, places: Places) -> Environment {
    Environment::given(variables.iter().copied(), root, places)
}

/// Places at which nobody listens: port 1 of loopback.
pub(crate) fn nowhere() -> Places {
    let none = || "http://127.0.0.1:1".to_owned();
    Places { ec2: none(), ecs: none(), google: none(), azure: none(), sts: Some(none()) }
}

/// The source that is found; panics where there is none.
pub(crate) async fn detected(environment: Environment) -> Found {
    Found::detect(environment).await.unwrap()
}

/// Why none is found.
pub(crate) async fn undetected(environment: Environment) -> Fault {
    match Found::detect(environment).await {
        Ok(found) => panic!("{found:?}"),
        Err(Undetected::Cannot(fault) | Undetected::Nothing(fault)) => checked(fault),
    }
}

/// The token of a source that was named.
pub(crate) async fn asked(source: Source, environment: Environment) -> Result<String, Fault> {
    let found = Found::named(source, environment);
    found.token(&writ()).await.map(|token| token.expose().to_owned()).map_err(checked)
}

/// A fault in Writ's voice, without a secret.
pub(crate) fn checked(fault: Fault) -> Fault {
    let all = format!("{fault} {fault:?} {}", fault.remedy().unwrap_or_default());
    assert!(!all.contains(SECRET) && !all.contains(&URL_SAFE_NO_PAD.encode(SECRET)), "{all}");
    assert!(!fault.what().ends_with('.') && !fault.what().contains('\n'), "{all}");
    fault
}
