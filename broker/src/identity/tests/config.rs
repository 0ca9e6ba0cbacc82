//! Mistakes in an issuer's configuration.

use serde_json::{Value, json};

use super::support::*;
use crate::identity::config::IssuerConfig;
use crate::identity::verify::Verifier;

fn minimal() -> Value {
    json!({"name": "ci", "issuer": ISSUER, "algorithms": ["RS256"]})
}

fn problem(changes: Value) -> String {
    let config: IssuerConfig = serde_json::from_value(with(minimal(), changes)).unwrap();
    config.validate().unwrap_err().to_string()
}

#[test]
fn three_lines_are_enough() {
    let config: IssuerConfig = serde_json::from_value(minimal()).unwrap();
    assert_eq!(config.validate(), Ok(()));
    assert!(config.discovers());
    assert_eq!(config.leeway.to_string(), "30s");
    assert_eq!(config.longest_life().to_string(), "1h");
    assert!(Verifier::new(&[config], AUDIENCE, None).is_ok());
}

#[test]
fn mistakes_are_named_with_what_to_write() {
    let table = [
        (
            json!({"algorithms": []}),
            "issuer `ci`: `algorithms` is empty: write the ones that it signs with, such as [\"RS256\"]",
        ),
        (json!({"leeway": "10m"}), "issuer `ci`: `leeway` is 10m: write at most 5m"),
        (
            json!({"typ": ["writ-session+jwt"]}),
            "issuer `ci`: `typ` lists `writ-session+jwt`, which is the broker's own: remove it",
        ),
        (
            json!({"typ": ["application/DPOP+jwt"]}),
            "issuer `ci`: `typ` lists `dpop+jwt`, which is the broker's own: remove it",
        ),
        (
            json!({"jwks": "{}", "jwks_file": "x"}),
            "issuer `ci`: more than one of `jwks`, `jwks_file` and `jwks_url` is given: keep one",
        ),
        (
            json!({"issuer": "http://issuer.example"}),
            "issuer `ci`: `issuer` is not an https address: plain http needs `allow_http_loopback` and a loopback host",
        ),
        (
            json!({"issuer": "http://issuer.example", "allow_http_loopback": true}),
            "issuer `ci`: `issuer` is not an https address: plain http needs `allow_http_loopback` and a loopback host",
        ),
        (
            json!({"issuer": "https://issuer.example?x"}),
            "issuer `ci`: `issuer` has a query or a fragment, which no issuer has (OpenID Connect Discovery, 2)",
        ),
        (
            json!({"issuer": "urn:issuer"}),
            "issuer `ci`: `issuer` is not an https address: plain http needs `allow_http_loopback` and a loopback host",
        ),
        (json!({"cache": {"fetch_interval": "1ms"}}), "issuer `ci`: `cache.fetch_interval` is 1ms: write at least 1s"),
    ];
    for (changes, words) in table {
        assert_eq!(problem(changes), words);
    }
}

#[test]
fn unknown_settings_and_bare_numbers_are_refused() {
    for changes in [
        json!({"algorithm": "RS256"}),
        json!({"leeway": 30}),
        json!({"algorithms": ["HS256"]}),
        json!({"cache": {"x": 1}}),
    ] {
        assert!(serde_json::from_value::<IssuerConfig>(with(minimal(), changes.clone())).is_err(), "{changes}");
    }
}

#[test]
fn an_issuer_stands_once_and_is_never_the_broker() {
    let broker = IssuerConfig { issuer: BROKER.into(), ..config() };
    for pair in [vec![config(), config()], vec![broker]] {
        let fault = Verifier::new(&pair, AUDIENCE, Some(&sessions())).unwrap_err().to_string();
        assert_eq!(fault, "issuer `ci`: `issuer` is configured twice, or is the broker's own: keep one");
    }
    assert!(Verifier::new(&[config()], "", None).is_err());
}

#[test]
fn keys_come_from_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, config().jwks.unwrap()).unwrap();
    let from = |path: &std::path::Path| IssuerConfig { jwks: None, jwks_file: Some(path.to_owned()), ..config() };
    assert_eq!(outcome(&verifier_of(from(&path)), &good()), "accepted");
    std::fs::write(&path, "{\"keys\":[]}").unwrap();
    assert!(Verifier::new(&[from(&path)], AUDIENCE, None).is_err());
    assert!(Verifier::new(&[from(&directory.path().join("none"))], AUDIENCE, None).is_err());
}
