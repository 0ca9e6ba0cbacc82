//! Logins to Cloud SQL: a token is of use for its own user, and for a login alone.

use serde_json::json;
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::target::{Address, UpstreamTls};
use writ_provider_gcp::{By, CloudSqlConfig, CloudSqlProvider};

use crate::canary;
use crate::documented;
use crate::eyes::{Database, read};
use crate::providers::{cloudsql, gcp, mint, writ};
use crate::world::{LIFE, World};

const APP: &str = "payments-app@acme-prod.iam";
const READER: &str = "payments-reader@acme-prod.iam";

fn world() -> World {
    let world = World::start("payments");
    for user in [APP, READER] {
        world.account(&format!("{user}.gserviceaccount.com"), documented::bindings("payments"));
    }
    world
}

#[tokio::test]
async fn a_token_opens_logins_of_its_own_user_and_nothing_near_it() {
    let world = world();
    let database = Database::start(&world).await;
    for by in [By::Issuer, By::Workload, By::Broker] {
        world.google.clock_ahead(0);
        let provider = cloudsql(&world, by, world.google.url(), &|_| ());
        let given = async |role: Option<&str>| {
            let minted = mint(&world, &provider, &writ(&world, role, LIFE * 12)).await.unwrap();
            let credential = minted.credential().unwrap();
            assert_eq!((credential.kind, credential.revocation), (CredentialKind::CloudSqlToken, Revocation::None));
            (credential.principal.clone(), String::from_utf8(credential.secret.expose().to_vec()).unwrap())
        };
        let refused = async |user: &str, token: &str, why: &str| {
            let said = database.login(user, token).await.err().unwrap_or_else(|| panic!("{why}: it was let in"));
            assert_eq!(said, format!("Cloud SQL IAM service account authentication failed for user \"{user}\""));
            let reasons = database.sql.refusals();
            assert!(reasons.last().unwrap().contains(why), "{why}: {reasons:?}");
        };
        let ((app, token), (reader, other)) = (given(None).await, given(Some("reader")).await);
        assert_eq!((app.as_str(), reader.as_str()), (APP, READER));
        for (user, token) in [(APP, &token), (APP, &token), (READER, &other)] {
            let client = database.login(user, token).await.unwrap();
            let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), user);
        }
        refused(APP, &other, "another account").await;
        refused(READER, &token, "another account").await;
        refused(APP, &token[1..], "that Google did not give").await;
        refused("postgres", &token, "cloudsqliamserviceaccount").await;
        let issued = world.google.issued(&token).unwrap();
        assert_eq!(issued.scopes, ["https://www.googleapis.com/auth/sqlservice.login"]);
        // An hour's writ, a quarter of an hour's token.
        assert_eq!(issued.expires - issued.issued, 900);
        // It is of use for nothing else.
        world.may(&format!("{APP}.gserviceaccount.com"), "reports", "roles/storage.objectViewer");
        let (status, said) = read(&world, &token, "reports", "2026/march").await.unwrap_err();
        assert_eq!((status, &said["error"]["details"][0]["reason"]), (403, &json!("ACCESS_TOKEN_SCOPE_INSUFFICIENT")));
        world.google.clock_ahead(901);
        refused(APP, &token, "has ended").await;
    }
    world.google.clock_ahead(0);
    // A token of the same account with more scopes is none of a login's.
    let wide =
        |settings: &mut serde_json::Value| settings["service_account"] = json!(format!("{APP}.gserviceaccount.com"));
    let minted =
        mint(&world, &gcp(&world, By::Issuer, world.google.url(), &wide), &writ(&world, None, LIFE)).await.unwrap();
    let token = String::from_utf8(minted.credential().unwrap().secret.expose().to_vec()).unwrap();
    database.login(APP, &token).await.unwrap_err();
    assert!(database.sql.refusals().last().unwrap().contains("other scopes"));
    assert!(!database.cluster.log().contains("ya29"));
    canary::check();
}

#[test]
fn a_token_goes_to_no_server_that_is_not_known() {
    let config: CloudSqlConfig = serde_json::from_value(documented::cloudsql_settings()).unwrap();
    let address = Address { host: "localhost".to_owned(), port: 5432, tls: UpstreamTls::Disable, ca_pem: None };
    let fault = CloudSqlProvider::new(&config, &address, None).unwrap_err().to_string();
    assert!(fault.contains("write `tls = \"verify-full\"`"), "{fault}");
    let address = Address { tls: UpstreamTls::VerifyFull, ..address };
    let fault = CloudSqlProvider::new(&config, &address, None).unwrap_err().to_string();
    assert!(fault.contains("the broker is no issuer"), "{fault}");
}
