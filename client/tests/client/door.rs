//! The door, before gateways that are not what they should be. The real gateway stands behind it in the repository's stories.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::oneshot;
use writ_client::connect::{Door, Gateway, PORT, Passage, Unwatched};
use writ_client::{Audience, Found};
use zeroize::Zeroizing;

use super::support::SECRET;
use super::support::gateway::{Behaviour, FakeGateway};

const STARTUP: &[u8] = b"\0\0\0\x1e\0\x03\0\0user\0root\0database\0x\0\0";
const LIMIT: Duration = Duration::from_secs(20);

/// A door that leads to a gateway, and what opened it.
struct Opened {
    socket: PathBuf,
    end: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

impl Opened {
    fn to(gateway: &FakeGateway, most: usize) -> Self {
        Self::by(
            Gateway::new(&format!("localhost:{}", gateway.port), Some(gateway.ca_pem.as_bytes()), None).unwrap(),
            most,
        )
    }

    fn by(gateway: Gateway, most: usize) -> Self {
        let door = Door::open().unwrap();
        let socket = door.directory().join(format!(".s.PGSQL.{PORT}"));
        let passage = Passage {
            gateway: Arc::new(gateway),
            found: Arc::new(Found::held(Zeroizing::new(SECRET.to_owned()))),
            audience: Audience::new("writ").unwrap(),
            target: "payments/app".to_owned(),
            database: "payments".to_owned(),
            reason: None,
            most,
            watch: Box::new(Unwatched),
            count: AtomicU64::new(0),
        };
        let (end, ended) = oneshot::channel();
        let served = tokio::spawn(async move {
            door.serve(passage, ended).await.unwrap();
        });
        Self { socket, end: Some(end), served }
    }

    async fn closed(mut self) {
        self.end.take().unwrap().send(()).unwrap();
        self.served.await.unwrap();
        assert!(!self.socket.parent().unwrap().exists());
    }

    /// What a client hears that says this, to the end of the connection.
    async fn says(&self, bytes: &'static [u8]) -> Vec<u8> {
        let socket = self.socket.clone();
        tokio::task::spawn_blocking(move || {
            let mut client = dial(&socket);
            client.write_all(bytes).unwrap();
            rest(&mut client)
        })
        .await
        .unwrap()
    }
}

fn dial(socket: &Path) -> UnixStream {
    let client = UnixStream::connect(socket).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

fn rest(client: &mut UnixStream) -> Vec<u8> {
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    heard
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_is_this_users_alone_and_goes_with_the_door() {
    let gateway = FakeGateway::start(Behaviour::Good).await;
    let opened = Opened::to(&gateway, 4);
    let directory = std::fs::metadata(opened.socket.parent().unwrap()).unwrap();
    assert_eq!((directory.permissions().mode() & 0o777, directory.uid()), (0o700, nix::unistd::geteuid().as_raw()));
    assert_eq!(std::fs::metadata(&opened.socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(opened.socket.parent().unwrap()).unwrap().count(), 1);
    opened.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_logged_in_without_hearing_of_the_token() {
    let gateway = FakeGateway::start(Behaviour::Good).await;
    let opened = Opened::to(&gateway, 4);
    // As pgjdbc and asyncpg begin where they were told to prefer encryption: it is answered that there is none.
    let socket = opened.socket.clone();
    let heard = tokio::task::spawn_blocking(move || {
        let mut client = dial(&socket);
        for request in [[0, 0, 0, 8, 4, 210, 22, 47], [0, 0, 0, 8, 4, 210, 22, 48]] {
            client.write_all(&request).unwrap();
            let mut answer = [0];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"N");
        }
        client.write_all(STARTUP).unwrap();
        let mut ready = [0; 15];
        client.read_exact(&mut ready).unwrap();
        client.write_all(b"echo this").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        [ready.to_vec(), rest(&mut client)].concat()
    });
    assert_eq!(text(&heard.await.unwrap()), "R\0\0\0\u{8}\0\0\0\0Z\0\0\0\u{5}Iecho this");
    let seen = gateway.seen();
    assert_eq!(seen.token, SECRET);
    let startup = text(&seen.startup);
    assert!(startup.contains("user\0payments/app\0database\0x\0options\0-c writ.auth=password\0\0"), "{startup:?}");
    opened.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_shown_to_no_gateway_that_is_not_the_right_one() {
    for (behaviour, words) in [
        (Behaviour::NoTls, "has no TLS"),
        (Behaviour::Silent, "cannot be reached"),
        (Behaviour::AsksScram, "what answers is no gateway: it asks for something else than a token"),
        (Behaviour::LetsIn, "what answers is no gateway: it asks for something else than a token"),
        (Behaviour::AsksTwice, "what answers is no gateway: it does not wait for the token"),
    ] {
        let gateway = FakeGateway::start(behaviour).await;
        let opened = Opened::to(&gateway, 4);
        let heard = text(&opened.says(STARTUP).await);
        assert!(
            heard.starts_with('E') && heard.contains("C08001\0") && heard.contains(words),
            "{behaviour:?}: {heard:?}"
        );
        assert!(!heard.contains(SECRET));
        assert_eq!(gateway.seen().token, "", "{behaviour:?}");
        opened.closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_of_another_authority_or_name_is_refused() {
    let (gateway, other) = (FakeGateway::start(Behaviour::Good).await, FakeGateway::start(Behaviour::Good).await);
    let address = |host: &str| format!("{host}:{}", gateway.port);
    for (address, pem) in [(address("localhost"), &other.ca_pem), (address("127.0.0.1"), &gateway.ca_pem)] {
        let opened = Opened::by(Gateway::new(&address, Some(pem.as_bytes()), None).unwrap(), 4);
        let heard = text(&opened.says(STARTUP).await);
        assert!(heard.contains("is not the one that it should be: invalid peer certificate"), "{heard:?}");
        opened.closed().await;
    }
    assert_eq!(gateway.seen().token, "");
    for wrong in ["localhost", "localhost:", "localhost:70000", ":5432", "a b:5432"] {
        assert!(Gateway::new(wrong, Some(gateway.ca_pem.as_bytes()), None).is_err(), "{wrong}");
    }
    assert!(Gateway::new("localhost:5432", Some(b"no certificate"), None).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_says_instead_reaches_the_client() {
    let gateway = FakeGateway::start(Behaviour::Refuses).await;
    let opened = Opened::to(&gateway, 4);
    assert_eq!(text(&opened.says(STARTUP).await), "E\0\0\0\rMno way\0\0");
    opened.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_no_connection_is_told_so() {
    let gateway = FakeGateway::start(Behaviour::Good).await;
    let opened = Opened::to(&gateway, 4);
    for wrong in [b"\0\0\0\x07".as_slice(), b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\x04\xd2\x16\x2fmore"] {
        let heard = text(&opened.says(wrong).await);
        assert!(heard.starts_with('E') && heard.contains("C08P01\0"), "{heard:?}");
    }
    assert!(gateway.seen().startup.is_empty());
    opened.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_no_more_sessions_than_may_be_and_cancelling_still_works() {
    let gateway = FakeGateway::start(Behaviour::Good).await;
    let opened = Opened::to(&gateway, 1);
    let socket = opened.socket.clone();
    let held = tokio::task::spawn_blocking(move || {
        let mut client = dial(&socket);
        client.write_all(STARTUP).unwrap();
        client.read_exact(&mut [0; 15]).unwrap();
        client
    });
    let held = held.await.unwrap();
    let heard = text(&opened.says(STARTUP).await);
    assert!(heard.contains("C53300\0") && heard.contains("more than 1 connections"), "{heard:?}");
    // It is passed on as it is, and answered by the end of the connection alone.
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07secr";
    assert_eq!(opened.says(cancel).await, b"");
    assert_eq!(gateway.seen().startup, cancel);
    drop(held);
    // The place is free a moment later.
    let socket = opened.socket.clone();
    let again = tokio::task::spawn_blocking(move || {
        (0..200).any(|_| {
            let mut client = dial(&socket);
            client.write_all(STARTUP).unwrap();
            let mut first = [0];
            client.read_exact(&mut first).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            first == *b"R"
        })
    });
    assert!(again.await.unwrap());
    opened.closed().await;
}
