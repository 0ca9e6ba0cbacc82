//! No secret leaves by evidence, files, logs or answers.

use std::path::Path;

use writ_core::event::Event;

use super::provider::{CANARY, Mode};
use super::world::{ADMIN_TOKEN, TARGET, ended, operator, until, world};
use crate::store::Store as _;

/// Every file below a directory.
fn files(below: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_file_or_shown_by_anything() {
    let world = world().await;
    let human = world.admin().await;
    let token = world.place.token();
    let opened = world.open_with(token.clone(), TARGET).await.unwrap();
    let join = world.broker.make_join_token(Default::default(), &human).await.unwrap();
    let key = world.broker.recording_key(opened.session, &opened.wrapped_data_key.0, &human).await.ok().unwrap();
    world.store.next_outcome();
    let mut shown = vec![format!("{:?}", world.open().await.unwrap_err())];
    for mode in [Mode::Refused, Mode::Persisted] {
        world.place.provider.on_mint(mode);
        shown.push(format!("{:?}", world.open().await.unwrap_err()));
    }
    let kept = world.open_with(format!("{token}x"), TARGET).await.unwrap_err();
    shown.push(format!("{kept:?} {kept:?} {:?}", kept.problem()));
    world.broker.revoke_writ(opened.writ, "test", operator()).await.unwrap();
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    until("all is settled", async || {
        world.store.due_revocations(writ_core::time::Timestamp::MAX, 9).await.unwrap().is_empty()
    })
    .await;
    shown.push(format!("{:?} {:?} {:?}", world.broker, world.broker.keys(), world.broker.loaded.load()));
    shown.push(format!("{opened:?} {:?}", world.broker.session(opened.session).await.unwrap()));
    shown.push(format!("{:?}", world.place.gateway));
    shown.push(serde_json::to_string(&opened).unwrap());
    let events = world.events().await;
    shown.extend(events.iter().map(|event| format!("{event:?}")));
    assert!(events.iter().any(|event| matches!(event, Event::WritIssued { .. })));

    // While the store is open, its log is there to be looked into.
    let store = world.store.clone();
    let place = world.stop().await;
    let signature = token.rsplit('.').next().unwrap();
    let secrets: [&[u8]; 5] =
        [CANARY.as_bytes(), ADMIN_TOKEN.as_bytes(), signature.as_bytes(), join.join_token.as_bytes(), &key.data_key.0];
    let mut seen = 0;
    for path in files(&place.path("")) {
        let bytes = std::fs::read(&path).unwrap();
        for secret in secrets {
            assert!(!holds(&bytes, secret), "{} holds a secret", path.display());
        }
        seen += 1;
    }
    assert!(seen > 8, "the files were found");
    for text in &shown {
        for secret in secrets {
            assert!(!holds(text.as_bytes(), secret), "{text}");
        }
    }
    // What is looked for would be found: the key files do hold what they are for.
    let seed = std::fs::read(place.path("keys/recording.key")).unwrap();
    assert!(files(&place.path("")).iter().any(|path| holds(&std::fs::read(path).unwrap(), &seed)));
    assert!(shown.iter().all(|text| !holds(text.as_bytes(), &seed)));
    drop(store);
}
