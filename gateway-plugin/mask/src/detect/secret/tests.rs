use super::*;

fn by_literal(text: &str) -> Vec<(Detector, &str)> {
    let mut hits = Vec::new();
    for at in 0..text.len() {
        literals(text.as_bytes(), at, Set::ALL, &mut hits);
    }
    hits.iter().map(|hit| (hit.detector, text.get(hit.start..hit.end).unwrap())).collect()
}

fn found(scan: fn(&[u8], &mut Vec<Hit>), text: &str) -> Vec<&str> {
    let mut hits = Vec::new();
    scan(text.as_bytes(), &mut hits);
    hits.iter().map(|hit| text.get(hit.start..hit.end).unwrap()).collect()
}

#[test]
fn keys_of_each_vendor_are_found() {
    for (detector, front, length) in [
        (Detector::AwsKey, "AKIA", 16),
        (Detector::GcpKey, "AIza", 35),
        (Detector::GithubKey, "ghp_", 36),
        (Detector::GithubKey, "github_pat_", 82),
        (Detector::SlackKey, "xoxb-", 20),
        (Detector::StripeKey, "sk_live_", 24),
        (Detector::AzureKey, "aB78Q~", 31),
    ] {
        let key = format!("{front}{}", "Q".repeat(length));
        assert_eq!(by_literal(&format!("key: {key}\n")), [(detector, key.as_str())]);
        assert_eq!(by_literal(&format!("xyz{key}")), [], "within a word");
        assert_eq!(by_literal(front), [], "nothing behind it");
    }
    let body = format!("{}==", "k".repeat(86));
    assert_eq!(by_literal(&format!("AccountKey={body};Endpoint")), [(Detector::AzureKey, body.as_str())]);
}

#[test]
fn tokens_are_found_whole() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_DEF";
    assert_eq!(by_literal(&format!("Bearer {token} x")), [(Detector::Jwt, token)]);
    assert_eq!(by_literal("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0"), []);
    assert_eq!(by_literal("eyJ.abc.def"), []);
}

#[test]
fn private_keys_are_found_to_their_end_or_the_value_s() {
    let key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----";
    assert_eq!(by_literal(&format!("a\n{key}\nb")), [(Detector::PrivateKey, key)]);
    assert_eq!(
        by_literal("-----BEGIN PRIVATE KEY-----\nMHcC"),
        [(Detector::PrivateKey, "-----BEGIN PRIVATE KEY-----\nMHcC")]
    );
    assert_eq!(by_literal("-----BEGIN CERTIFICATE-----\nMHcC\n-----END CERTIFICATE-----"), []);
}

#[test]
fn secret_fields_are_found_by_name() {
    for (text, inside) in [
        (r#"{"password":"hunter2"}"#, "hunter2"),
        (r#"{"db_password" : "hunter2", "x": 1}"#, "hunter2"),
        (r#"{"clientSecret": "a\"b"}"#, r#"a\"b"#),
        (r#"{"cvv":123}"#, "123"),
        (r#"{\"api_key\":\"abc\"}"#, "abc"),
        (r#"{"token":"unended"#, "unended"),
    ] {
        assert_eq!(found(fields, text), [inside], "{text}");
    }
    for near in
        [r#"{"passwords_changed": true}"#, r#"{"token": null}"#, r#"{"token": {"a": "b"}}"#, r#"{"password":""}"#, ""]
    {
        assert_eq!(found(fields, near), [""; 0], "{near}");
    }
}

#[test]
fn disorder_is_found_and_names_and_hashes_are_not() {
    let secret = "kJ8fQ2/xW9zLrT5vB1nM+7pYcD3gHs6aEu0iXoRq";
    assert_eq!(found(disorder, &format!("aws {secret} end")), [secret]);
    assert_eq!(found(disorder, "q3Zt9Lk2Xw8Rb5Nv1Cs7Jh4P"), ["q3Zt9Lk2Xw8Rb5Nv1Cs7Jh4P"]);
    for near in [
        "550e8400-e29b-41d4-a716-446655440000",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "getUserAccountByIdentifier22",
        "AbstractSingletonProxyFactoryBean1",
        "INTERNATIONALIZATION_OF_EVERYTHING",
        "2026-11-23-08-26-23-123456-00000",
    ] {
        assert_eq!(found(disorder, near), [""; 0], "{near}");
    }
}
