//! What load balancers, operators and the two halves of Writ send: PROXY headers, configuration, policies, sealed values.

use serde::Deserialize;
use writ_broker::config::BrokerConfig;
use writ_broker_api::gateway::{OpenReply, StreamMessage};
use writ_broker_api::sealed::{OpeningKey, Purpose, Sealed, SealedSession};
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_gateway::GatewayConfig;
use writ_gateway::proxy::{self, FIXED};
use writ_policy::Bundle;

pub(crate) const PROXY_WORDS: &[&[u8]] =
    &[b"\r\n\r\n\0\r\nQUIT\n", b"\x20\0\0\0", b"\x21\x11\0\x0c", b"\x21\x21\0\x24", b"\x04\0\x01x"];

pub(crate) const CONFIG_WORDS: &[&[u8]] = &[
    b"[broker]\n",
    b"[[broker.issuer]]\n",
    b"[[broker.target]]\n",
    b"[gateway]\n",
    b"[[gateway.listeners]]\n",
    b"listen = \"[::1]:5432\"\n",
    b"url = \"https://\"\n",
    b"= \"0s\"\n",
    b"= -1\n",
    b"= 99999999999999999999\n",
    b"= []\n",
    b"= {}\n",
    b"\"18446744073709551615h\"",
    b"\\u0000",
];

pub(crate) const POLICY_WORDS: &[&[u8]] = &[
    b"permit(principal, action, resource);",
    b"forbid(principal, action, resource) when { ",
    b"@id(\"a\")\n",
    b"@ttl(\"15m\")\n",
    b"@uses(\"0\")\n",
    b"@approval(\"1\")\n",
    b"unless { ",
    b" };",
    b"principal has ",
    b"context.",
    b"like \"*\"",
    b"9223372036854775807",
    b"((((((((((",
    b"!!!!!!!!",
    b"if true then ",
    b"\\u{110000}",
];

pub(crate) const SEALED_WORDS: &[&[u8]] = &[
    br#"{"enc":""#,
    br#"","ciphertext":""#,
    br#""type":"heartbeat""#,
    br#""type":"checkpoint""#,
    br#""type":"kill""#,
    br#""type":"bundle""#,
    br#""at":"-9999-01-01T00:00:00Z""#,
    b"null",
    b"=",
];

/// A PROXY header, as it arrives byte by byte.
pub(crate) fn proxy(data: &[u8]) {
    let mut told = None;
    for end in 0..=data.len().min(2 * FIXED) {
        match proxy::rest(data.get(..end).unwrap_or_default()) {
            Ok(Some(rest)) => {
                assert!(end >= FIXED && told.is_none_or(|told| told == rest), "the length changes as bytes come");
                told = Some(rest);
            }
            Ok(None) => assert!(told.is_none() && end < FIXED, "a whole fixed part tells no length"),
            Err(_) => return assert!(proxy::source(data).is_err(), "a header that cannot begin so is taken"),
        }
    }
    if let Ok(address) = proxy::source(data) {
        assert_eq!(told.map(|rest| rest + FIXED), Some(data.len()), "bytes behind the header are taken for it");
        assert!(address.is_none_or(|address| address.ip() == address.ip().to_canonical()));
    }
}

#[derive(Debug, Deserialize)]
struct Config {
    broker: Option<BrokerConfig<toml::Table>>,
    gateway: Option<GatewayConfig>,
}

/// A configuration file.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(config) = toml::from_str::<Config>(text) else { return };
    if let Some(broker) = config.broker {
        for mistake in broker.mistakes() {
            assert!(
                !mistake.problem.is_empty() && !mistake.setting.is_empty(),
                "a mistake does not say what and where"
            );
        }
        drop((broker.host().map(str::to_owned), broker.certificate_names()));
    }
    for listener in config.gateway.iter().flat_map(|gateway| &gateway.listeners) {
        assert!(listener.mistake().is_none_or(|(_, problem)| !problem.is_empty()));
    }
}

/// A policy file, or, where it begins with a brace, a bundle as it goes over the wire.
pub(crate) fn policy(data: &[u8]) {
    if data.first() == Some(&b'{') {
        drop(Bundle::from_wire(data));
        return;
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    let files = vec![("fuzz.cedar".to_owned(), text.to_owned())];
    let bundle = match Bundle::load(files.clone()) {
        Ok(bundle) => bundle,
        Err(problems) => return assert!(!problems.is_empty(), "a policy is refused for nothing"),
    };
    assert!(writ_policy::check(&files).is_empty());
    let wire = bundle.to_wire(1, Timestamp::UNIX_EPOCH).unwrap_or_default();
    let received = Bundle::from_wire(&wire).map(|received| received.bundle.hash().clone());
    assert_eq!(received.ok().as_ref(), Some(bundle.hash()), "a bundle changes on its way");
}

/// What a broker sends to a gateway: lines of its stream, the reply to an opening, a sealed value.
pub(crate) fn sealed(data: &[u8]) {
    drop(serde_json::from_slice::<StreamMessage>(data));
    drop(serde_json::from_slice::<OpenReply>(data));
    let (Ok(sealed), Ok(target)) = (serde_json::from_slice::<Sealed>(data), TargetName::new("payments")) else {
        return;
    };
    let key = OpeningKey::from_bytes(vec![9; 32]);
    let purpose = Purpose {
        writ: WritId::from_bytes([1; 16]),
        session: SessionId::from_bytes([2; 16]),
        gateway: GatewayId::from_bytes([3; 16]),
        target: &target,
    };
    let both = SealedSession { credential: &sealed, data_key: &sealed, mask_key: Some(&sealed) };
    assert!(key.session(both, purpose).is_err(), "what nobody sealed opens");
    assert!(key.data_key(&sealed, purpose).is_err(), "what nobody sealed opens");
}
