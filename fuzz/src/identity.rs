//! What issuers and workloads send: tokens, key sets, what callers of AWS signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use writ_broker::duration::Span;
use writ_broker::identity::claims::ClaimRules;
use writ_broker::identity::discovery::Discovery;
use writ_broker::identity::header::Compact;
use writ_broker::identity::jwks::KeySet;
use writ_broker::identity::{Algorithm, IssuerConfig, aws_caller, json};
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

pub(crate) const AWS_WORDS: &[&[u8]] = &[
    b"https://",
    b"http://",
    b"sts.eu-west-1.amazonaws.com",
    b"sts.cn-north-1.amazonaws.com.cn",
    b"sts.eusc-de-east-1.amazonaws.eu",
    b".evil.example",
    b"@",
    b":443",
    b"/?",
    b"&",
    b"=",
    b"+",
    b"#",
    b"%2F",
    b"%2f",
    b"%26",
    b"%00",
    b"Action=AssumeRole",
    b"action=GetCallerIdentity",
    b"Version=2011-06-15",
    b"X-Amz-Security-Token=",
    b"X-Amz-SignedHeaders=host%3Bx-writ-audience",
    b"X-Amz-Expires=900",
    b"X-Amz-Date=20260230T256199Z",
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

/// The address in a proof: whatever it says, what is asked is who it is, of the STS of a region and in one form.
pub(crate) fn aws_proof(data: &[u8]) {
    let proof = |address: &[u8]| format!("{}{}", aws_caller::PREFIX, URL_SAFE_NO_PAD.encode(address));
    let Ok(asked) = aws_caller::address(&proof(data)) else { return };
    let again = aws_caller::address(&proof(asked.as_bytes()));
    assert_eq!(again.ok().as_deref(), Some(&*asked), "what is asked is another proof than the one that was read");
    let host = asked.strip_prefix("https://sts.").and_then(|rest| rest.split_once("/?")).map(|(host, _)| host);
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"];
    let region = host.and_then(|host| suffixes.iter().find_map(|suffix| host.strip_suffix(suffix)));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(region.is_some_and(|region| !region.is_empty() && region.bytes().all(plain)), "it leads elsewhere");
    let query = asked.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!(pairs.first(), Some(&("Action", "GetCallerIdentity")), "something else is asked");
    assert!(pairs.windows(2).all(|two| matches!(two, [(one, _), (other, _)] if one < other)), "a parameter twice");
    assert!(pairs.contains(&("X-Amz-SignedHeaders", "host%3Bx-writ-audience")), "the audience is not signed");
}
