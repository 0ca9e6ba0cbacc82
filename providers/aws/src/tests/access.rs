//! How an EKS cluster knows the broker itself.

use base64::Engine as _;

use super::world::ambient;
use crate::{EksAccess, EksAccessConfig};

fn config(region: &str, cluster: &str) -> EksAccessConfig {
    EksAccessConfig { region: region.to_owned(), cluster: cluster.to_owned() }
}

/// Signed by the broker's own keys, for this cluster's region and no secret in it.
#[tokio::test]
async fn the_broker_shows_a_cluster_its_own_identity() {
    let access = EksAccess::with_ambient(&config("eu-central-1", "prod"), ambient(Some("session"))).unwrap();
    assert_eq!(access.cluster(), "prod");
    let token = access.token().await.unwrap();
    let token = std::str::from_utf8(token.expose()).unwrap();
    let address = token.strip_prefix("k8s-aws-v1.").unwrap();
    let address = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(address).unwrap();
    let address = reqwest::Url::parse(std::str::from_utf8(&address).unwrap()).unwrap();
    assert_eq!(address.host_str(), Some("sts.eu-central-1.amazonaws.com"));
    let said = |name: &str| address.query_pairs().find(|(said, _)| said == name).unwrap().1.into_owned();
    assert!(said("X-Amz-Credential").starts_with("AKIDTESTTESTTEST/"), "{address}");
    assert_eq!(
        (said("X-Amz-Security-Token"), said("X-Amz-SignedHeaders")),
        ("session".into(), "host;x-k8s-aws-id".into())
    );
    assert!(!address.as_str().contains("ambient-secret") && !format!("{access:?}").contains("ambient-secret"));
}

#[test]
fn a_cluster_that_cannot_be_is_refused_when_it_is_read() {
    for (region, cluster) in
        [("eu west", "prod"), ("", "prod"), ("eu-west-1", ""), ("eu-west-1", "prod/x"), ("eu-west-1", "-prod")]
    {
        let config = config(region, cluster);
        assert!(config.validate().is_err(), "{region:?} {cluster:?}");
        assert!(EksAccess::with_ambient(&config, ambient(None)).is_err(), "{region:?} {cluster:?}");
    }
}
