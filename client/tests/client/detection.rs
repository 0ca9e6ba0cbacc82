//! Which source is taken: the order, where it stops, and what is said where there is none.

use std::time::{Duration, Instant};

use writ_client::{Places, Source};

use super::support::fakes;
use super::support::{detected, environment, nowhere, token_for, undetected, within};

#[tokio::test]
async fn the_sources_are_looked_at_in_their_order() {
    let all = [
        ("file", [("WRIT_TOKEN_FILE", "/t")].as_slice()),
        ("github-actions", &[("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")]),
        ("gitlab", &[("GITLAB_CI", "true"), ("WRIT_ID_TOKEN", "t")]),
        ("buildkite", &[("BUILDKITE", "true")]),
        ("circleci", &[("CIRCLECI", "true")]),
        ("bitbucket", &[("BITBUCKET_STEP_OIDC_TOKEN", "t")]),
        ("terraform-cloud", &[("TFC_WORKLOAD_IDENTITY_TOKEN", "t")]),
        ("spiffe", &[("SPIFFE_ENDPOINT_SOCKET", "unix:///s")]),
        ("aws", &[("AWS_SESSION_TOKEN", "t")]),
        ("gcp", &[("CLOUD_RUN_JOB", "j")]),
        ("azure", &[("IDENTITY_ENDPOINT", "http://127.0.0.1"), ("IDENTITY_HEADER", "h")]),
    ];
    for (at, (name, _)) in all.iter().enumerate() {
        let variables: Vec<(&str, &str)> =
            all[at..].iter().flat_map(|(_, variables)| variables.iter().copied()).collect();
        assert_eq!(detected(environment(&variables)).await.name(), *name);
    }
    let names: Vec<&str> = Source::ALL.iter().map(|source| source.name()).collect();
    let here: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.iter().filter(|name| **name != "kubernetes").copied().collect::<Vec<_>>(), here);
    assert!(names.iter().all(|name| Source::named(name).is_some_and(|source| source.name() == *name)));
}

#[tokio::test]
async fn a_job_that_gets_no_token_does_not_become_the_machine_that_it_runs_on() {
    let google = fakes::google().await;
    let places = || Places { google: google.url.clone(), ..nowhere() };
    let root = tempfile::tempdir().unwrap();
    for (variables, what, help) in [
        ([("GITHUB_ACTIONS", "true")], "github-actions: this job may not have ID tokens", "id-token: write"),
        (
            [("GITLAB_CI", "true")],
            "gitlab: this job has no `WRIT_ID_TOKEN`",
            "id_tokens: { WRIT_ID_TOKEN: { aud: writ } }",
        ),
        ([("BITBUCKET_PIPELINE_UUID", "{1}")], "bitbucket: this step has no OIDC token", "oidc: { audiences: [writ] }"),
        ([("TFC_RUN_ID", "run-1")], "terraform-cloud: this run has no workload", "TFC_WORKLOAD_IDENTITY_AUDIENCE"),
    ] {
        let fault = undetected(within(&variables, root.path(), places())).await;
        assert!(fault.what().starts_with(what), "{fault}");
        let remedy = fault.remedy().unwrap();
        assert!(remedy.contains(help) && remedy.contains("--from"), "{remedy}");
    }
    let pod = undetected(within(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], root.path(), places())).await;
    assert!(pod.remedy().unwrap().contains("its identity is the node's, not the pod's"), "{:?}", pod.remedy());
    assert!(google.asked().is_empty());
}

#[tokio::test]
async fn keys_of_a_user_are_no_workload() {
    let fault = undetected(environment(&[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")])).await;
    assert!(fault.remedy().unwrap().contains("aws: no variable gives temporary credentials"), "{:?}", fault.remedy());
}

#[tokio::test]
async fn where_there_is_none_every_source_says_why() {
    let fault = undetected(environment(&[])).await;
    assert_eq!(fault.what(), "nothing here gives this workload a token");
    let said = fault.remedy().unwrap();
    for source in Source::ALL {
        assert!(said.contains(&format!("{source}: ")), "{source}: {said}");
    }
    assert!(said.contains("the machine: no metadata server answers (asked for: aws, gcp, azure)"), "{said}");
}

fn firmware(root: &std::path::Path, vendor: &str, product: &str, tag: &str) {
    let at = root.join("sys/class/dmi/id");
    std::fs::create_dir_all(&at).unwrap();
    for (name, text) in [("sys_vendor", vendor), ("product_name", product), ("chassis_asset_tag", tag)] {
        std::fs::write(at.join(name), format!("{text}\n")).unwrap();
    }
}

#[tokio::test]
async fn a_machine_of_a_cloud_is_known_by_its_firmware_and_asks_only_that_cloud() {
    let (ec2, google, azure) = (fakes::ec2().await, fakes::google().await, fakes::azure().await);
    let places = || Places { ec2: ec2.url.clone(), google: google.url.clone(), azure: azure.url.clone(), ..nowhere() };
    for (vendor, product, tag, name) in [
        ("Amazon EC2", "m7g.large", "", "aws"),
        ("Google", "Google Compute Engine", "", "gcp"),
        ("Microsoft Corporation", "Virtual Machine", "7783-7084-3265-9085-8269-3286-77", "azure"),
    ] {
        let root = tempfile::tempdir().unwrap();
        firmware(root.path(), vendor, product, tag);
        assert_eq!(detected(within(&[], root.path(), places())).await.name(), name);
    }
    for fake in [&ec2, &google, &azure] {
        fake.refused_nothing();
        assert_eq!(fake.asked().len(), 1);
    }
    // Firmware that says nothing, as in a container: all are asked, and the first is taken.
    let root = tempfile::tempdir().unwrap();
    assert_eq!(detected(within(&[], root.path(), places())).await.name(), "aws");
    assert_eq!(detected(within(&[], root.path(), Places { ec2: nowhere().ec2, ..places() })).await.name(), "gcp");
}

#[tokio::test]
async fn a_machine_of_no_cloud_sends_nothing() {
    let google = fakes::google().await;
    let root = tempfile::tempdir().unwrap();
    firmware(root.path(), "Lenovo", "ThinkPad\u{1b}[2J X1", "");
    let fault = undetected(within(&[], root.path(), Places { google: google.url.clone(), ..nowhere() })).await;
    let said = fault.remedy().unwrap();
    assert!(said.contains("none of a cloud that is known here (`Lenovo ThinkPad[2J X1`)"), "{said}");
    assert!(google.asked().is_empty());
}

#[tokio::test]
async fn what_only_looks_like_a_metadata_server_is_none() {
    let stranger = fakes::Fake::start(|_| axum::response::IntoResponse::into_response("<html>welcome</html>")).await;
    let at = || stranger.url.clone();
    let root = tempfile::tempdir().unwrap();
    let places = Places { ec2: nowhere().ec2, google: at(), azure: at(), ..nowhere() };
    let fault = undetected(within(&[], root.path(), places)).await;
    assert!(fault.remedy().unwrap().contains("no metadata server answers"), "{:?}", fault.remedy());
    assert_eq!(stranger.asked().len(), 2);
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_hold_the_search() {
    // A listener whose connections nobody takes: they are open, and silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = || format!("http://{}", silent.local_addr().unwrap());
    let root = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    undetected(within(&[], root.path(), Places { ec2: at(), google: at(), azure: at(), ..nowhere() })).await;
    // They are asked side by side, for a second and a half; with ten-fold allowance.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_file_for_writ_is_a_pods_source_before_the_agent_of_its_node() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().join("var/run/secrets/writ");
    std::fs::create_dir_all(&at).unwrap();
    std::fs::write(at.join("token"), token_for("writ")).unwrap();
    let variables = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("SPIFFE_ENDPOINT_SOCKET", "unix:///s")];
    assert_eq!(detected(within(&variables, root.path(), nowhere())).await.name(), "kubernetes");
}
