//! The Workload API, of the real SPIRE.

use writ_client::{Source, preset_of};
use writ_world::spire::Spire;

use super::support::{asked, checked, detected, environment, writ};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_workload_gets_a_jwt_svid_for_the_audience() {
    let spire = tokio::task::spawn_blocking(|| Spire::start().unwrap()).await.unwrap();
    let endpoint = spire.endpoint();
    let ask = |more: &[(&str, &str)]| environment(&[&[("SPIFFE_ENDPOINT_SOCKET", endpoint.as_str())], more].concat());
    let unknown = asked(Source::Spiffe, ask(&[])).await.unwrap_err();
    assert!(unknown.what().ends_with("knows no identity of this workload"), "{unknown}");
    assert!(unknown.remedy().unwrap().contains("spire-server entry create"), "{unknown:?}");

    let (spire, job, second) = tokio::task::spawn_blocking(move || {
        let job = spire.register("/ns/payments/job").unwrap();
        let second = spire.register("/ns/payments/second").unwrap();
        (spire, job, second)
    })
    .await
    .unwrap();
    let found = detected(ask(&[])).await;
    assert_eq!(found.name(), "spiffe");
    let claims = found.token(&writ()).await.unwrap().claims().unwrap();
    assert!([Some(job.as_str()), Some(second.as_str())].contains(&claims.text("sub")), "{claims:?}");
    assert_eq!((claims.audiences(), preset_of(&claims)), (vec!["writ".to_owned()], Some("spiffe")));

    // Of two identities the one that is named.
    for id in [&job, &second] {
        let found = writ_client::Found::named(Source::Spiffe, ask(&[("WRIT_SPIFFE_ID", id)]));
        assert_eq!(found.token(&writ()).await.unwrap().claims().unwrap().text("sub"), Some(id.as_str()));
    }
    let other =
        writ_client::Found::named(Source::Spiffe, ask(&[("WRIT_SPIFFE_ID", "spiffe://prod.example.org/admin")]));
    checked(other.token(&writ()).await.unwrap_err());
    tokio::task::spawn_blocking(move || drop(spire)).await.unwrap();
}

#[tokio::test]
async fn only_a_unix_socket_is_asked() {
    for socket in ["tcp://127.0.0.1:1", "http://127.0.0.1", "/run/agent.sock"] {
        let fault = asked(Source::Spiffe, environment(&[("SPIFFE_ENDPOINT_SOCKET", socket)])).await.unwrap_err();
        assert_eq!(fault.what(), "`SPIFFE_ENDPOINT_SOCKET` names no Unix socket");
    }
    let gone =
        asked(Source::Spiffe, environment(&[("SPIFFE_ENDPOINT_SOCKET", "unix:///nonexistent/agent.sock")])).await;
    let gone = gone.unwrap_err();
    assert!(gone.what().starts_with("the Workload API at `unix:///nonexistent/agent.sock` gave no token"), "{gone}");
    let fault =
        asked(Source::Spiffe, environment(&[("SPIFFE_ENDPOINT_SOCKET", "unix:///s"), ("WRIT_SPIFFE_ID", "payments")]));
    assert_eq!(fault.await.unwrap_err().what(), "`WRIT_SPIFFE_ID` is no SPIFFE ID: `payments`");
}
