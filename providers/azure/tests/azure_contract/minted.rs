//! What was minted, in the hands of whoever uses it, and what Entra has on record of it.

use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::Provider;
use writ_core::target::{Address, UpstreamTls};
use writ_provider_azure::{AksAccess, AksAccessConfig, AzureConfig, AzureProvider};

use crate::providers::{address, azure, database, mint, target, token, writ};
use crate::world::{DEADLINE, LIFE, READER, WRITER, World, guid, object};
use crate::{canary, documented};

#[tokio::test]
async fn a_token_is_for_its_resource_and_entras_log_leads_to_the_writ() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    let writ = writ(&world, None, LIFE);
    let minted = mint(&world, &provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.kind, credential.principal.as_str()), (CredentialKind::EntraToken, READER));
    assert_eq!(credential.revocation, Revocation::None);
    let claims = world.entra.verify(token(credential), "https://storage.azure.com").unwrap();
    assert_eq!((&claims["appid"], &claims["oid"]), (&READER.into(), &object(READER).into()));
    world.entra.verify(token(credential), "https://management.azure.com").unwrap_err();
    // As granted, and longer than the writ: that the gateway ends.
    assert_eq!(credential.expires.unwrap().as_second(), claims["exp"].as_i64().unwrap());
    assert!(credential.expires.unwrap() > writ.expires);
    let [row] = &world.sign_ins_of(writ.id)[..] else { panic!("one sign-in") };
    let uti = row["uniqueTokenIdentifier"].as_str().unwrap();
    assert_eq!(row["federatedCredentialId"], "writ-reports");
    assert_eq!(credential.fingerprint.as_str(), format!("entra-uti:{uti}"));
    let (oid, correlation) = (object(READER), guid(writ.id));
    assert_eq!(credential.audit, format!("uti {uti}, oid {oid}, correlation {correlation}"));
    canary::check();
}

#[tokio::test]
async fn a_policy_picks_client_and_resource() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    let mut writ = writ(&world, Some("writer"), LIFE);
    writ.obligations.scope = Some("manage".to_owned());
    let minted = mint(&world, &provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!(credential.principal, WRITER);
    world.entra.verify(token(credential), "https://management.azure.com").unwrap();
    writ.obligations.scope = Some("everything".to_owned());
    let fault = mint(&world, &provider, &writ).await.unwrap_err();
    assert_eq!(fault.code(), "provider.refused");
    assert!(fault.detail().contains("policy names `everything` by `@scope`"), "{fault:?}");
    canary::check();
}

/// Two writs get two tokens, though the SDK would keep the first for whoever asks next.
#[tokio::test]
async fn no_token_is_given_twice() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        assert!(seen.insert(token(minted.credential().unwrap()).to_owned()));
    }
    assert_eq!(world.entra.asked().len(), 3);
}

#[tokio::test]
async fn resource_manager_is_asked_for_the_tenant_and_no_other_resource_is() {
    let world = World::start("reports");
    let arm = azure(&world, world.entra.url(), &|settings| {
        settings["resource"] = "arm".into();
    });
    let minted = mint(&world, &arm, &writ(&world, None, LIFE)).await.unwrap();
    let credential = minted.credential().unwrap();
    let presented = arm.present(&target(&world), credential, DEADLINE).await.unwrap().unwrap();
    assert_eq!((&presented.principal, &presented.audit), (&credential.principal, &credential.audit));
    world.entra.clock_ahead(100_000);
    let fault = arm.present(&target(&world), credential, DEADLINE).await.unwrap_err();
    assert_eq!((fault.code(), fault.detail().contains("status 401")), ("provider.refused", true), "{fault:?}");
    world.entra.clock_ahead(0);
    let storage = azure(&world, world.entra.url(), &|_| ());
    assert_eq!(storage.present(&target(&world), credential, DEADLINE).await.unwrap(), None);
    canary::check();
}

#[tokio::test]
async fn a_login_is_of_its_users_client() {
    let world = World::start("payments");
    let provider = database(&world, world.entra.url(), &|_| ());
    for (role, user, client) in [(None, "app", READER), (Some("reader"), "app_reader", WRITER)] {
        let writ = writ(&world, role, LIFE);
        let minted = mint(&world, &provider, &writ).await.unwrap();
        let credential = minted.credential().unwrap();
        assert_eq!((credential.kind, credential.principal.as_str()), (CredentialKind::EntraLogin, user));
        let claims = world.entra.verify(token(credential), "https://ossrdbms-aad.database.windows.net").unwrap();
        assert_eq!(claims["appid"], client);
        let start = format!("{user} by {client}, uti {}", claims["uti"].as_str().unwrap());
        assert!(credential.audit.starts_with(&start), "{}", credential.audit);
    }
    canary::check();
}

#[tokio::test]
async fn a_token_goes_to_nobody_who_is_not_known() {
    let world = World::start("reports");
    let config: AzureConfig = serde_json::from_value(documented::azure_settings()).unwrap();
    let open = Address { tls: UpstreamTls::Disable, ..address(&world) };
    let fault = AzureProvider::new(&config, &open, Some(&world.assertions)).unwrap_err().to_string();
    assert!(fault.contains("write `tls = \"verify-full\"`"), "{fault}");
    let fault = AzureProvider::new(&config, &address(&world), None).unwrap_err().to_string();
    assert!(fault.contains("add the table `[broker.issues]`"), "{fault}");
}

#[tokio::test]
async fn a_cluster_of_aks_is_shown_a_token_for_such_clusters_by_the_target_that_it_is() {
    let world = World::start("reports");
    let mut settings = documented::aks_settings();
    settings["entra"] = world.entra_settings(world.entra.url());
    let config: AksAccessConfig = serde_json::from_value(settings).unwrap();
    let access = AksAccess::new(&config, Some(&world.assertions)).unwrap();
    let writ = writ(&world, None, LIFE);
    let intended = writ_provider_kit::intended(&writ);
    for intended in [None, Some(&intended)] {
        let token = access.token(&target(&world).name, intended).await.unwrap();
        let token = std::str::from_utf8(token.expose()).unwrap();
        canary::note(token);
        let claims = world.entra.verify(token, "6dae42f8-4368-4678-94ff-3960e28e3630").unwrap();
        assert_eq!(claims["oid"], object(READER));
    }
    assert_eq!(world.sign_ins_of(writ.id).len(), 1);
    let fault = access.token(&writ_core::target::TargetName::new("payments").unwrap(), None).await.unwrap_err();
    assert!(fault.detail().contains("AADSTS700213"), "{fault:?}");
    canary::check();
}

/// What an admin is given to paste lets the example's target in, and no other's.
#[tokio::test]
async fn each_examples_credential_lets_its_target_in_and_no_other() {
    for (name, target, other) in [("azure", "reports", "orders"), ("azure-database", "orders", "reports")] {
        for (asks, opens) in [(target, true), (other, false)] {
            let world = World::start(asks);
            let (credential, configured) = documented::example(name, world.assertions.issuer());
            assert_eq!(configured, target);
            world.trust(READER, vec![credential]);
            let provider = azure(&world, world.entra.url(), &|_| ());
            let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await;
            assert_eq!(minted.is_ok(), opens, "{name}, {asks}: {minted:?}");
        }
    }
    canary::check();
}

/// By an authority that nobody vouches for nothing is asked.
#[tokio::test]
async fn an_entra_that_is_not_who_it_should_be_hears_nothing() {
    let world = World::start("reports");
    let other = World::start("reports");
    let provider = azure(&world, other.entra.url(), &|_| ());
    let fault = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap_err();
    assert_eq!(fault.code(), "provider.misconfigured");
    assert!(fault.detail().contains("is not who it should be"), "{fault:?}");
    assert!(other.entra.asked().is_empty());
    canary::check();
}

/// An access token that cannot be read is used as it is, and is known by the request alone.
#[tokio::test]
async fn whatever_cannot_be_read_is_not_written_down() {
    let world = World::start("reports");
    world.entra.trouble(Some(writ_fakes::entra::Trouble::Opaque));
    let provider = azure(&world, world.entra.url(), &|_| ());
    let writ = writ(&world, None, LIFE);
    let minted = mint(&world, &provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!(credential.audit, format!("correlation {}", guid(writ.id)));
    assert!(!credential.fingerprint.as_str().contains(':'));
    canary::check();
}
