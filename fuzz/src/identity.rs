//! What issuers and workloads send: tokens, key sets.

use writ_broker::duration::Span;
use writ_broker::identity::claims::ClaimRules;
use writ_broker::identity::discovery::Discovery;
use writ_broker::identity::header::Compact;
use writ_broker::identity::jwks::KeySet;
use writ_broker::identity::{Algorithm, IssuerConfig, json};
use writ_core::time::Timestamp;

pub(crate) const WORDS: &[&[u8]] = &[
    b".",
    b"..",
    b"=",
    br#""alg":"RS256""#,
    br#""alg":"none""#,
    br#""crit":["b64"]"#,
    br#""kid":"a""#,
    br#""aud":["gateway"]"#,
    br#""exp":1e308"#,
    br#""exp":-1"#,
    br#""iat":1700000000.5"#,
    br#""jti":"x""#,
    br#""keys":["#,
    br#""kty":"OKP""#,
    br#""crv":"Ed25519""#,
    br#""kty":"EC""#,
    br#""kty":"RSA""#,
    br#""use":"sig""#,
    b"\\u0000",
    b"\\ud800",
    br#""issuer":"https://id.example""#,
    br#""jwks_uri":"https://"#,
    b"keys.example",
    b"@",
    b"[[[[[[[[",
    b"{\"a\":",
    b",",
];

const NOW: i64 = 1_700_000_000;
const MOST_LEEWAY: u32 = 60;

/// A token; where the input holds a line break, what stands behind it is taken for claims.
pub(crate) fn token(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let (token, claims) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(compact) = Compact::parse(token) {
        let whole = format!("{}.{}", compact.signed, compact.signature);
        assert_eq!(whole, token, "a part of the token is not accounted for");
        assert!(!compact.header.alg.is_empty() || compact.members.contains_key("alg"));
        check(&compact.claims, compact.signed);
    }
    if let Ok(claims) = json::object(claims.as_bytes()) {
        let again = serde_json::to_vec(&claims).unwrap_or_default();
        assert_eq!(json::object(&again).as_ref(), Ok(&claims), "claims change when they are written and read");
        check(&claims, "signed");
    }
}

fn check(claims: &json::Object, signed: &str) {
    let rules = ClaimRules {
        audiences: vec!["gateway".to_owned()],
        authorized_parties: Vec::new(),
        max_lifetime: Span::seconds(3600),
        max_age: Some(Span::seconds(3600)),
        leeway: Span::seconds(MOST_LEEWAY.into()),
        require_jti: false,
    };
    let Ok(now) = Timestamp::from_second(NOW) else { return };
    if let Ok(registered) = rules.check(claims, signed, now) {
        assert!(registered.expires >= now, "an expired token passed");
        assert!(registered.issued_at.as_second() <= NOW + i64::from(MOST_LEEWAY), "a token from the future passed");
        assert!(!registered.subject.as_str().is_empty(), "a token without a subject passed");
    }
}

thread_local! {
    static DISCOVERY: Option<Discovery> = discoverer();
}

fn discoverer() -> Option<Discovery> {
    let config = r#"
        name = "fuzz"
        issuer = "https://id.example"
        algorithms = ["EdDSA"]
        jwks_hosts = ["keys.example"]
    "#;
    Discovery::new(&toml::from_str::<IssuerConfig>(config).ok()?).ok()
}

/// A discovery document: whatever it says, nothing is fetched but over https from the issuer's hosts.
pub(crate) fn discovery(data: &[u8]) {
    DISCOVERY.with(|discovery| {
        assert!(discovery.is_some(), "there is nothing to test");
        let Some(Ok(address)) = discovery.as_ref().map(|discovery| discovery.jwks_uri(data)) else { return };
        assert_eq!((address.scheme(), address.port_or_known_default()), ("https", Some(443)));
        assert!(matches!(address.host_str(), Some("id.example" | "keys.example")), "keys from a foreign host");
    });
}

/// A key set; each key of it is tried on a signature that none made.
pub(crate) fn keys(data: &[u8]) {
    let Ok(set) = KeySet::parse(data) else { return };
    for algorithm in Algorithm::ALL {
        for key in set.candidates(None, algorithm) {
            assert!(!key.verifies(algorithm, "e30.e30", "AAAA"), "a key verifies what nobody signed");
            assert!(!key.thumbprint().is_empty());
        }
    }
}
