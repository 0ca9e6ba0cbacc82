//! Claims: whom a token is for, whom it is about, and when it counts.

use serde_json::{Value, json};

use super::support::*;

fn table(cases: Vec<(Value, &str)>) {
    let verifier = verifier();
    for (changes, code) in cases {
        let token = token(&EC, &header(), &with(claims(), changes.clone()));
        assert_eq!(outcome(&verifier, &token), code, "{changes}");
    }
}

#[test]
fn the_audience_is_ours() {
    table(vec![
        (json!({"aud": AUDIENCE}), "accepted"),
        (json!({"aud": ["other", AUDIENCE]}), "accepted"),
        (json!({"aud": "writ:gateways/us"}), "identity.audience"),
        (json!({"aud": "writ:gateways/eu/"}), "identity.audience"),
        (json!({"aud": "WRIT:gateways/eu"}), "identity.audience"),
        (json!({"aud": ["other"]}), "identity.audience"),
        (json!({"aud": format!("other {AUDIENCE}")}), "identity.audience"),
        (json!({"aud": ""}), "identity.audience"),
        (json!({"aud": []}), "identity.malformed_claim"),
        (json!({"aud": [AUDIENCE, 1]}), "identity.malformed_claim"),
        (json!({"aud": {"a": AUDIENCE}}), "identity.malformed_claim"),
        (json!({"aud": null}), "identity.malformed_claim"),
        (json!({"aud": vec!["x"; 65]}), "identity.malformed_claim"),
    ]);
}

#[test]
fn an_issuers_own_audiences_stand_instead() {
    let mut config = config();
    config.audiences = vec!["sts".into()];
    let verifier = verifier_of(config);
    assert_eq!(outcome(&verifier, &good()), "identity.audience");
    assert_eq!(outcome(&verifier, &token(&EC, &header(), &with(claims(), json!({"aud": "sts"})))), "accepted");
}

#[test]
fn required_claims_are_required() {
    for name in ["iss", "aud", "sub", "exp", "iat"] {
        let token = token(&EC, &header(), &without(claims(), name));
        assert_eq!(outcome(&verifier(), &token), "identity.missing_claim", "{name}");
    }
    for name in ["nbf", "jti"] {
        assert_eq!(outcome(&verifier(), &token(&EC, &header(), &without(claims(), name))), "accepted", "{name}");
    }
    let mut strict = config();
    strict.require_jti = true;
    let token = token(&EC, &header(), &without(claims(), "jti"));
    assert_eq!(outcome(&verifier_of(strict), &token), "identity.missing_claim");
}

#[test]
fn names_are_bounded() {
    table(vec![
        (json!({"sub": "s".repeat(1024)}), "accepted"),
        (json!({"sub": "s".repeat(1025)}), "identity.malformed_claim"),
        (json!({"sub": ""}), "identity.malformed_claim"),
        (json!({"sub": 7}), "identity.malformed_claim"),
        (json!({"sub": "a\u{0}b"}), "identity.malformed_claim"),
        (json!({"sub": "a\nb"}), "identity.malformed_claim"),
        (json!({"sub": "тест"}), "accepted"),
        (json!({"jti": ""}), "identity.malformed_claim"),
        (json!({"jti": 1}), "identity.malformed_claim"),
        (json!({"jti": "j".repeat(513)}), "identity.malformed_claim"),
    ]);
}

#[test]
fn times_count_with_leeway_and_no_more() {
    table(vec![
        (json!({"iat": NOW - 10, "exp": NOW - 20}), "identity.malformed_claim"),
        (json!({"iat": NOW - 100, "exp": NOW - 29}), "accepted"),
        (json!({"iat": NOW - 100, "exp": NOW - 30}), "identity.expired"),
        (json!({"iat": NOW - 100, "exp": NOW - 3000}), "identity.expired"),
        (json!({"nbf": NOW + 30}), "accepted"),
        (json!({"nbf": NOW + 31}), "identity.not_yet_valid"),
        (json!({"iat": NOW + 30}), "accepted"),
        (json!({"iat": NOW + 31}), "identity.issued_in_future"),
        (json!({"iat": NOW - 10, "exp": NOW + 3590}), "accepted"),
        (json!({"iat": NOW - 10, "exp": NOW + 3591}), "identity.lifetime"),
        (json!({"iat": NOW, "exp": NOW}), "identity.malformed_claim"),
    ]);
}

#[test]
fn dates_are_numbers() {
    table(vec![
        (json!({"exp": 1_800_000_100.5}), "accepted"),
        (json!({"exp": 1.8e9 + 100.0, "iat": 1.8e9}), "accepted"),
        (json!({"exp": "1800000100"}), "identity.malformed_claim"),
        (json!({"exp": null}), "identity.malformed_claim"),
        (json!({"exp": [1_800_000_100]}), "identity.malformed_claim"),
        (json!({"exp": true}), "identity.malformed_claim"),
        (json!({"exp": -1}), "identity.malformed_claim"),
        (json!({"exp": 1e300}), "identity.malformed_claim"),
        (json!({"exp": u64::MAX}), "identity.malformed_claim"),
        (json!({"exp": i64::MAX}), "identity.malformed_claim"),
        (json!({"exp": 253_402_300_799_i64}), "identity.lifetime"),
        (json!({"iat": "now"}), "identity.malformed_claim"),
        (json!({"iat": -5}), "identity.malformed_claim"),
        (json!({"nbf": {}}), "identity.malformed_claim"),
        (json!({"iat": 0}), "identity.lifetime"),
    ]);
    let infinite = claims().to_string().replace(&(NOW + 290).to_string(), "1e999");
    assert_eq!(outcome(&verifier(), &raw(&EC, "ES256", &header().to_string(), &infinite)), "identity.json");
}

#[test]
fn age_is_bounded_where_it_is_configured() {
    let mut config = config();
    config.max_age = Some(crate::duration::Span::seconds(60));
    let verifier = verifier_of(config);
    let aged = |age: i64| token(&EC, &header(), &with(claims(), json!({"iat": NOW - age})));
    assert_eq!(outcome(&verifier, &aged(90)), "accepted");
    assert_eq!(outcome(&verifier, &aged(91)), "identity.age");
}

#[test]
fn the_authorized_party_is_checked_where_it_is_configured() {
    let mut config = config();
    config.authorized_parties = vec!["runner".into()];
    let verifier = verifier_of(config);
    let by = |azp: Value| token(&EC, &header(), &with(claims(), json!({ "azp": azp })));
    assert_eq!(outcome(&verifier, &by(json!("runner"))), "accepted");
    assert_eq!(outcome(&verifier, &by(json!("other"))), "identity.authorized_party");
    assert_eq!(outcome(&verifier, &by(json!(["runner"]))), "identity.malformed_claim");
    assert_eq!(outcome(&verifier, &good()), "identity.missing_claim");
}

#[test]
fn a_chain_of_actors_is_well_formed_and_short() {
    let chain = |length: usize| {
        (0..length).fold(json!(null), |act, _| match act {
            Value::Null => json!({"sub": "agent"}),
            act => json!({"sub": "agent", "act": act}),
        })
    };
    table(vec![
        (json!({"act": {"sub": "agent", "iss": "https://agents.example"}}), "accepted"),
        (json!({"act": chain(8)}), "accepted"),
        (json!({"act": chain(9)}), "identity.malformed_claim"),
        (json!({"act": "agent"}), "identity.malformed_claim"),
        (json!({"act": {}}), "identity.malformed_claim"),
        (json!({"act": {"sub": ""}}), "identity.malformed_claim"),
        (json!({"act": {"sub": 7}}), "identity.malformed_claim"),
        (json!({"act": {"sub": "agent", "act": null}}), "identity.malformed_claim"),
        (json!({"act": {"sub": "agent", "iss": 7}}), "identity.malformed_claim"),
    ]);
}
