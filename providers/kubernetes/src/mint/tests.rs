use serde_json::{Value, json};

use super::*;

const WRIT: &str = "writ-0000000000000000000000000a";
const JTI: &str = "2a7b7ad5-9d1f-4c2e-8f6a-0f3f5f0d2c11";

fn token(payload: &str) -> Secret {
    Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)).into_bytes())
}

fn sound() -> Value {
    json!({
        "sub": "system:serviceaccount:apps:viewer", "exp": 4_000_000_000_i64, "jti": JTI,
        "kubernetes.io": { "namespace": "apps", "secret": { "name": WRIT, "uid": "u-1" } },
    })
}

#[test]
fn what_was_given_is_the_accounts_own_and_can_be_taken_back() {
    let account = Account::parse("apps/viewer").unwrap();
    let looked = |claims: &Value| looked_at(&token(&claims.to_string()), &account, WRIT, "u-1");
    assert_eq!(looked(&sound()), Ok((JTI.to_owned(), Timestamp::from_second(4_000_000_000).unwrap())));
    for (at, value, words) in [
        ("/sub", json!("system:serviceaccount:apps:admin"), "another account's"),
        ("/kubernetes.io/secret/uid", json!("u-2"), "not bound"),
        ("/kubernetes.io/secret/name", json!("writ-0000000000000000000000000b"), "not bound"),
        ("/kubernetes.io/secret", json!(null), "no JWT with"),
        ("/jti", json!(""), "no id"),
        ("/jti", json!("a\nb"), "no id"),
        ("/jti", json!("a".repeat(65)), "no id"),
        ("/exp", json!(i64::MAX), "no time"),
        ("/exp", json!("soon"), "no JWT with"),
    ] {
        let mut claims = sound();
        *claims.pointer_mut(at).unwrap() = value;
        let problem = looked(&claims).unwrap_err();
        assert!(problem.contains(words), "{at}: {problem}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let account = Account::parse("apps/viewer").unwrap();
    for bytes in ["", "opaque", "a.b", "a..c", "a.!.c", "e30.e30.c2ln"] {
        let looked = looked_at(&Secret::new(bytes.as_bytes().to_vec()), &account, WRIT, "u-1");
        assert!(looked.unwrap_err().contains("no JWT with"), "{bytes}");
    }
    let vast = format!("{{\"sub\":\"{}\"}}", "a".repeat(CLAIMS_LIMIT));
    assert!(looked_at(&token(&vast), &account, WRIT, "u-1").is_err());
}
