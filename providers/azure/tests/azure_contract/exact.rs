//! The request for a token as it leaves, and the names of clouds and resources as the documentation has them.

use serde_json::json;
use writ_core::provider::Provider as _;
use writ_provider_azure::Cloud;

use crate::providers::{azure, mint, target, writ};
use crate::world::{DEADLINE, LIFE, READER, World, guid};
use crate::{canary, documented};

/// RFC 6749, 4.4.2, with RFC 7523, 2.2, as Entra describes them: these parameters, once each, and nothing else.
#[tokio::test]
async fn a_token_is_asked_for_as_entra_describes_it() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    let writ = writ(&world, None, LIFE);
    drop(mint(&world, &provider, &writ).await.unwrap());
    let [asked] = &world.entra.asked()[..] else { panic!("one request") };
    assert_eq!(asked.line, "POST /aaaabbbb-0000-cccc-1111-dddd2222eeee/oauth2/v2.0/token");
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(asked.headers["client-request-id"], guid(writ.id));
    assert_eq!(asked.headers["return-client-request-id"], "true");
    let (parameters, assertion): (Vec<_>, Vec<_>) =
        asked.body.split('&').partition(|parameter| !parameter.starts_with("client_assertion="));
    assert_eq!(
        parameters,
        [
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            &format!("client_id={READER}"),
            "grant_type=client_credentials",
            "scope=https%3A%2F%2Fstorage.azure.com%2F.default",
        ]
    );
    assert_eq!(assertion.len(), 1);
    canary::check();
}

#[tokio::test]
async fn a_probe_asks_for_each_client_and_resource_and_carries_no_writs_id() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    provider.probe(&target(&world), DEADLINE).await.unwrap();
    let asked = world.entra.asked();
    // Two clients, two resources.
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|asked| !asked.headers.contains_key("client-request-id")));
    assert!(world.entra.sign_ins().iter().all(|row| row["status"]["errorCode"] == 0));
}

#[test]
fn resources_and_clouds_are_as_documented() {
    for [resource, _, scope] in documented::rows("picks a client by") {
        for name in resource.split(", ") {
            let (name, scope) = (name.trim_matches('`'), scope.trim_matches('`'));
            assert_eq!(scope_of(name, "public"), scope, "{name}");
        }
    }
    for [cloud, authority, audience] in documented::rows("## Other clouds") {
        let cloud = named(cloud.split('`').nth(1).unwrap());
        assert_eq!([cloud.authority(), cloud.audience()], [authority.trim_matches('`'), audience.trim_matches('`')]);
    }
    for (name, government, china) in [
        ("arm", "https://management.usgovcloudapi.net", "https://management.chinacloudapi.cn"),
        ("storage", "https://storage.azure.com", "https://storage.azure.com"),
        ("sql", "https://database.usgovcloudapi.net", "https://database.chinacloudapi.cn"),
        (
            "postgres",
            "https://ossrdbms-aad.database.usgovcloudapi.net",
            "https://ossrdbms-aad.database.chinacloudapi.cn",
        ),
        ("mysql", "https://ossrdbms-aad.database.usgovcloudapi.net", "https://ossrdbms-aad.database.chinacloudapi.cn"),
        ("aks", "6dae42f8-4368-4678-94ff-3960e28e3630", "6dae42f8-4368-4678-94ff-3960e28e3630"),
        ("key_vault", "https://vault.usgovcloudapi.net", "https://vault.azure.cn"),
    ] {
        assert_eq!(scope_of(name, "us_government"), format!("{government}/.default"));
        assert_eq!(scope_of(name, "china"), format!("{china}/.default"));
    }
}

fn named(cloud: &str) -> Cloud {
    serde_json::from_value(json!(cloud)).unwrap()
}

fn scope_of(resource: &str, cloud: &str) -> String {
    named(cloud).scope(resource).unwrap()
}
