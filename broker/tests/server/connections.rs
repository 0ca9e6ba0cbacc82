//! Connections: who gets one, in which version, and how long one may be held by who says nothing.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use writ_broker::server::Limits;
use writ_broker_api::paths;

use crate::matrix::foreign_identity;
use crate::world::{World, limits};

/// How long an end may be waited for: the limits of [`crate::world::limits`] are much shorter.
const PATIENCE: Duration = Duration::from_secs(8);

async fn tcp(world: &World) -> TcpStream {
    TcpStream::connect(world.address).await.expect("connected")
}

/// A TLS connection as a client of these versions and protocols makes it.
async fn tls(world: &World, identity: Option<&str>, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(world.broker.keys().ca.pem().as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("a chain");
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a client's certificate")
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, tcp(world).await).await
}

/// Reads until the other side ends the connection, with or without an error.
async fn ended(mut connection: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = timeout(PATIENCE, connection.read_to_end(&mut all)).await.expect("the broker ends the connection");
    all
}

async fn healthy(world: &World) {
    let answer = world.client(None).get(world.url(paths::HEALTHZ)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_are_spoken() {
    let world = World::start().await;
    let two = world.client(None);
    let one = world.client_builder(None).http1_only().build().expect("a client");
    for (client, version) in [(two, reqwest::Version::HTTP_2), (one, reqwest::Version::HTTP_11)] {
        let answer = client.get(world.url(paths::HEALTHZ)).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_below_1_2_is_refused() {
    let world = World::start().await;
    // A client's hello of TLS 1.1 (RFC 4346, 7.4.1.2): two suites, no compression, no extensions.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0xc0, 0x09, 1, 0]);
    let length = u8::try_from(hello.len()).expect("short");
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut connection = tcp(&world).await;
    connection.write_all(&record).await.expect("sent");
    let answer = ended(connection).await;
    assert_eq!(answer.first(), Some(&21), "an alert and no handshake: {answer:?}");
    healthy(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused_in_the_handshake() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    // In TLS 1.3 the client learns of it when it reads: the alert comes instead of an answer.
    if let Ok(mut connection) = tls(&world, Some(&foreign_identity(&gateway)), &[b"http/1.1"]).await {
        let _ = connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(ended(connection).await, b"");
    }
    healthy(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_not_waited_for() {
    let world = World::start().await;
    let began = Instant::now();
    let silent = ended(tcp(&world).await);
    let no_version = async { ended(tls(&world, None, &[]).await.expect("TLS")).await };
    let no_preface = async { ended(tls(&world, None, &[b"h2"]).await.expect("TLS")).await };
    let half_preface = async {
        let mut connection = tls(&world, None, &[b"h2"]).await.expect("TLS");
        connection.write_all(b"PRI * HTTP/2.0\r\n").await.expect("sent");
        ended(connection).await
    };
    let half_head = async {
        let mut connection = tls(&world, None, &[b"http/1.1"]).await.expect("TLS");
        connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: lo").await.expect("sent");
        ended(connection).await
    };
    tokio::join!(silent, no_version, no_preface, half_preface, half_head);
    assert!(began.elapsed() < PATIENCE, "they were cut after {:?}", began.elapsed());
    healthy(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_without_a_certificate_take_no_place_of_a_gateway() {
    let world = World::limited(Limits { connections: 6, anonymous: 3, ..limits() }).await;
    let gateway = world.enrol().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let client = world.client(None);
        let answer = client.get(world.url(paths::HEALTHZ)).send().await;
        // The connection of the enrolment may still have a place; it goes with its client.
        if answer.is_ok_and(|answer| answer.status() == 200) {
            held.push(client);
        }
    }
    assert!(held.len() >= 2, "they are served while there is room");
    let mut refused = 0;
    for _ in 0..20 {
        let client = world.client(None);
        match client.get(world.url(paths::HEALTHZ)).send().await {
            Ok(_) => held.push(client),
            Err(_) => refused += 1,
        }
    }
    assert!(held.len() <= 3 && refused >= 19, "{} are held, {refused} were refused", held.len());
    let certified = world.client(Some(&gateway.identity));
    let answer = certified.get(world.url(paths::HEALTHZ)).send().await.expect("a gateway has a place");
    assert_eq!(answer.status(), 200);
    drop(held);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_certificate_does_not_last() {
    let (head, anonymous_age) = (Duration::from_secs(60), Duration::from_millis(300));
    let world = World::limited(Limits { head, anonymous_age, ..limits() }).await;
    let gateway = world.enrol().await;
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut old = tls(&world, None, &[b"http/1.1"]).await.expect("TLS");
    old.write_all(ask).await.expect("sent");
    let answer = ended(old).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "it was answered before it was ended");
    let mut certified = tls(&world, Some(&gateway.identity), &[b"http/1.1"]).await.expect("TLS");
    certified.write_all(ask).await.expect("sent");
    assert!(
        timeout(Duration::from_secs(3), certified.read_to_end(&mut Vec::new())).await.is_err(),
        "a gateway's lasts"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_refused() {
    let world = World::start().await;
    let one = world.client_builder(None).http1_only().build().expect("a client");
    for client in [one, world.client(None)] {
        let long = client.get(world.url(paths::HEALTHZ)).header("x-long", "y".repeat(1024 * 1024));
        // It may be told why, or find the connection closed while it still sends.
        if let Ok(answer) = long.send().await {
            assert_eq!(answer.status(), 431);
        }
    }
    healthy(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_names_two_gateways_names_none() {
    let uris = |count: usize| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.subject_alt_names = (0..count)
            .map(|_| format!("writ://gateway/{}", writ_core::id::GatewayId::fresh()))
            .map(|uri| rcgen::SanType::URI(uri.try_into().expect("a name")))
            .collect();
        params.self_signed(&key).expect("signed").der().clone()
    };
    assert!(writ_broker::ca::gateway_of(&uris(0)).is_none());
    assert!(writ_broker::ca::gateway_of(&uris(1)).is_some());
    assert!(writ_broker::ca::gateway_of(&uris(2)).is_none());
}
