//! Near misses: each is the sound trust with one thing changed, and gets nothing.

use std::sync::Arc;

use serde_json::json;
use writ_broker::issuer::KeyForm;
use writ_core::assertion::Assertions;
use writ_core::proof::Minted;
use writ_core::provider::{Provider, ProviderFault};
use writ_fakes::entra::{Federated, Trouble};

use crate::canary::{self, Noting};
use crate::providers::{azure, azure_by, mint, writ};
use crate::world::{LIFE, READER, STRANGER, WRITER, World, guid, issuer, issuer_at};

const REFUSED: &str = "provider.refused";
const MISCONFIGURED: &str = "provider.misconfigured";
const LETTER: &str = "no federated credential of the client has this issuer, subject and audience to the letter";

#[track_caller]
fn missed(minted: &Result<Minted, ProviderFault>, code: &str, words: &[&str]) {
    let fault = minted.as_ref().unwrap_err();
    assert_eq!(fault.code(), code, "{fault:?}");
    for words in words {
        assert!(fault.detail().contains(words), "`{words}` is not in: {fault:?}");
    }
    canary::check();
}

/// Mints, and holds Entra to it that it gave nothing.
async fn tried(world: &World, provider: &dyn Provider) -> Result<Minted, ProviderFault> {
    let writ = writ(world, None, LIFE);
    let minted = mint(world, provider, &writ).await;
    let given = world
        .entra
        .sign_ins()
        .iter()
        .any(|row| row["correlationId"] == guid(writ.id).as_str() && row["status"]["errorCode"] == 0);
    assert_eq!(minted.is_ok(), given);
    minted
}

#[tokio::test]
async fn a_trust_that_differs_in_one_thing_is_none() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    drop(tried(&world, &provider).await.unwrap());
    let sound = world.credential();
    let misses: [(&str, Federated, &[&str]); 11] = [
        (
            "another target",
            Federated { subject: "target:payments".to_owned(), ..sound.clone() },
            &["AADSTS700213", LETTER],
        ),
        (
            "the beginning of the target's name",
            Federated { subject: "target:report".to_owned(), ..sound.clone() },
            &["AADSTS700213"],
        ),
        ("a pattern", Federated { subject: "target:*".to_owned(), ..sound.clone() }, &["AADSTS700213"]),
        (
            "another case",
            Federated { subject: "target:Reports".to_owned(), ..sound.clone() },
            &["AADSTS7002138", "differs in case or form"],
        ),
        (
            "a workload",
            Federated { subject: format!("workload:{}", "0".repeat(32)), ..sound.clone() },
            &["AADSTS700213"],
        ),
        (
            "a slash at the issuer's end",
            Federated { issuer: format!("{}/", sound.issuer), ..sound.clone() },
            &["AADSTS700211", "without a slash"],
        ),
        (
            "another issuer of the same host",
            Federated { issuer: format!("{}/staging", sound.issuer), ..sound.clone() },
            &["AADSTS700211"],
        ),
        (
            "another issuer",
            Federated { issuer: "https://token.actions.githubusercontent.com".to_owned(), ..sound.clone() },
            &["AADSTS700211"],
        ),
        (
            "another cloud's audience",
            Federated { audience: "api://AzureADTokenExchangeUSGov".to_owned(), ..sound.clone() },
            &["AADSTS700212", "another audience"],
        ),
        (
            "the audience in another case",
            Federated { audience: "api://azureadtokenexchange".to_owned(), ..sound.clone() },
            &["AADSTS700212"],
        ),
        (
            "the audience of a client of its own",
            Federated { audience: format!("api://{READER}"), ..sound.clone() },
            &["AADSTS700212"],
        ),
    ];
    for (what, credential, words) in misses {
        world.trust(READER, vec![credential]);
        let minted = tried(&world, &provider).await;
        assert!(minted.is_err(), "{what}");
        missed(&minted, REFUSED, words);
    }
    // Two halves of a trust are none together.
    let halves = vec![
        Federated { name: "one".to_owned(), subject: "target:payments".to_owned(), ..sound.clone() },
        Federated { name: "two".to_owned(), audience: "api://other".to_owned(), ..sound.clone() },
    ];
    world.trust(READER, halves);
    missed(&tried(&world, &provider).await, REFUSED, &["AADSTS700213"]);
    world.trust(READER, vec![sound]);
    drop(tried(&world, &provider).await.unwrap());
}

#[tokio::test]
async fn an_assertion_of_somebody_else_is_none() {
    let world = World::start("reports");
    let url = world.entra.url();
    // Whoever has another key, and the issuer's address on his lips.
    let keys = tempfile::tempdir().unwrap();
    let impostor: Arc<dyn Assertions> =
        Arc::new(Noting(issuer_at(world.assertions.issuer(), keys.path(), KeyForm::Rs256)));
    let minted = tried(&world, &azure_by(&world, url, &impostor, &|_| ())).await;
    missed(&minted, REFUSED, &["AADSTS700027", "does not find the key that signed"]);
    // A sound issuer that nobody trusts.
    let stranger: Arc<dyn Assertions> = Arc::new(Noting(issuer(keys.path(), KeyForm::Rs256)));
    let minted = tried(&world, &azure_by(&world, url, &stranger, &|_| ())).await;
    missed(&minted, REFUSED, &["AADSTS700211"]);
    // The trusted issuer by the algorithm that Entra does not promise to take: it hears nothing.
    let asked = world.entra.asked().len();
    let curve: Arc<dyn Assertions> = Arc::new(Noting(issuer(keys.path().join("ec").as_path(), KeyForm::Es256)));
    let minted = tried(&world, &azure_by(&world, url, &curve, &|_| ())).await;
    missed(&minted, MISCONFIGURED, &["write `algorithm = \"RS256\"` in `[broker.issues]`"]);
    assert_eq!(world.entra.asked().len(), asked);
}

#[tokio::test]
async fn what_entra_does_not_know_is_said_to_be_the_configurations_fault() {
    let world = World::start("reports");
    let url = world.entra.url();
    let nobody = "00000000-0000-0000-0000-000000000001";
    let cases: [(&str, serde_json::Value, &str, &[&str]); 5] = [
        ("tenant_id", json!(nobody), MISCONFIGURED, &["AADSTS90002", "correct `tenant_id`"]),
        ("client_id", json!(nobody), MISCONFIGURED, &["AADSTS700016", "correct `client_id`"]),
        ("client_id", json!(STRANGER), REFUSED, &["AADSTS700211"]),
        ("resource", json!("api://unknown/.default"), MISCONFIGURED, &["AADSTS500011", "correct `resource`"]),
        ("resource", json!("https://storage.azure.com//.default"), MISCONFIGURED, &["AADSTS500011"]),
    ];
    for (setting, value, code, words) in cases {
        let provider = azure(&world, url, &|settings| settings[setting] = value.clone());
        missed(&tried(&world, &provider).await, code, words);
    }
    let provider =
        azure(&world, url, &|settings| settings["entra"]["audience"] = json!("api://AzureADTokenExchangeChina"));
    missed(&tried(&world, &provider).await, REFUSED, &["AADSTS700212"]);
    let provider = azure(&world, url, &|settings| settings["entra"]["subject"] = json!("workload"));
    missed(&tried(&world, &provider).await, MISCONFIGURED, &["there is none in a probe"]);
}

#[tokio::test]
async fn clocks_and_answers_that_cannot_be_are_refused() {
    let world = World::start("reports");
    let provider = azure(&world, world.entra.url(), &|_| ());
    let clock = "set the clock of the broker's machine";
    for (trouble, code, words) in [
        (Trouble::ClockAhead, REFUSED, ["AADSTS700024", clock]),
        (Trouble::ClockBehind, REFUSED, ["AADSTS700024", clock]),
        (Trouble::ExpiredAssertion, REFUSED, ["AADSTS700024", clock]),
        (Trouble::FarExpiry, REFUSED, ["more than a day", "Entra"]),
        (Trouble::NoToken, "provider.unreachable", ["cut short or cannot be read", "Entra"]),
        (Trouble::CutShort, "provider.unreachable", ["cut short or cannot be read", "Entra"]),
        (Trouble::ServerError, "provider.unreachable", ["status 503", "Entra"]),
        (Trouble::OthersToken, REFUSED, ["the token is of the client", WRITER]),
    ] {
        world.entra.trouble(Some(trouble));
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await;
        world.entra.trouble(None);
        missed(&minted, code, &words);
    }
    // Turned away, it is asked again, and no more than thrice.
    let before = world.entra.asked().len();
    world.entra.trouble(Some(Trouble::Throttled));
    let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await;
    missed(&minted, "provider.unreachable", &["come back later"]);
    assert_eq!(world.entra.asked().len() - before, 3);
}

#[tokio::test]
async fn an_issuer_whose_documents_are_gone_is_named() {
    let world = World::start("reports");
    let keys = tempfile::tempdir().unwrap();
    let nowhere = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    let lost: Arc<dyn Assertions> = Arc::new(Noting(issuer_at(&nowhere, keys.path(), KeyForm::Rs256)));
    world.trust(READER, vec![Federated { issuer: nowhere, ..world.credential() }]);
    let minted = tried(&world, &azure_by(&world, world.entra.url(), &lost, &|_| ())).await;
    missed(&minted, MISCONFIGURED, &["AADSTS50166", "cannot fetch the issuer's documents"]);
}
