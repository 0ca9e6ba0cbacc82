//! Every token and secret that OpenBao gives is noted on its way, and looked for in whatever is logged or said.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing::Level;
use writ_core::provider::Provider as _;
use writ_provider_kit as kit;

use crate::https::{Https, forward};
use crate::world::{Place, World, provider};
use crate::{DEADLINE, LIFE};

pub(crate) async fn check(world: &World) {
    let (port, pem) = (world.bao.port(), world.bao.ca_pem().to_owned());
    let secrets: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&secrets);
    let before = Https::start(move |head, body| {
        let answer = forward(port, &pem, head, body);
        note(&noted, &serde_json::from_slice(body).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        note(&noted, &serde_json::from_str(body).unwrap_or_default());
        answer
    });
    let ears = kit::canary::Log::default();
    let all = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(ears.clone());
    let subscriber = all.finish();
    let place = Place::of(&before, world.files.path());
    let provider = provider(&place, &json!({}), &world.issuer.trusted);
    let absent = json!({ "user_field": null, "password_field": null, "fields": ["token"] });
    let failing = crate::world::provider(&place, &absent, &world.issuer.trusted);
    let (sound, failed) = (kit::writ(None, LIFE), kit::writ(None, LIFE));
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("listening");
    let minted = provider.mint(&world.target, kit::intended(&sound), DEADLINE).await.unwrap();
    let mut said = format!("{minted:?} {:?} {provider:?}", minted.credential());
    provider.revoke(&world.target, &sound, DEADLINE).await.unwrap();
    let fault = failing.mint(&world.target, kit::intended(&failed), DEADLINE).await.unwrap_err();
    said.push_str(&format!("{fault:?} {fault} {}", fault.detail()));
    drop(guard);
    said.push_str(&ears.text());
    assert!(said.contains("listening"));
    let secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(secrets.len() > 6, "{}", secrets.len());
    for secret in secrets.iter() {
        assert!(!said.contains(secret.as_str()), "a secret was said");
    }
}

fn note(secrets: &Mutex<Vec<String>>, body: &Value) {
    for place in ["/auth/client_token", "/data/password", "/jwt"] {
        let found = body.pointer(place).and_then(Value::as_str);
        secrets.lock().unwrap_or_else(PoisonError::into_inner).extend(found.map(str::to_owned));
    }
}
