//! What an operator's log shows of an issuance, by a subscriber that keeps everything.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::provider::CANARY;
use super::world::{TARGET, world};

/// Every span with its fields, and every event, as text.
#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<(&'static str, String)>>>,
    events: Arc<Mutex<Vec<String>>>,
    next: Arc<AtomicU64>,
}

struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?};", field.name()).unwrap();
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut words = String::new();
        attributes.record(&mut Words(&mut words));
        self.spans.lock().unwrap().push((attributes.metadata().name(), words));
        Id::from_u64(self.next.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let place = usize::try_from(span.into_u64() - 1).unwrap();
        values.record(&mut Words(&mut self.spans.lock().unwrap()[place].1));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = String::new();
        event.record(&mut Words(&mut words));
        self.events.lock().unwrap().push(words);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuance_is_one_span_that_names_everything_but_secrets() {
    let world = world().await;
    let kept = Kept::default();
    let token = world.place.token();
    let opened = world.open_with(token.clone(), TARGET).with_subscriber(kept.clone()).await.unwrap();
    let forged = format!("{token}x");
    world.open_with(forged, TARGET).with_subscriber(kept.clone()).await.unwrap_err();

    let spans = kept.spans.lock().unwrap().clone();
    let issuances: Vec<&str> =
        spans.iter().filter(|(name, _)| *name == "issuance").map(|(_, fields)| fields.as_str()).collect();
    let [issued, refused] = issuances.as_slice() else { panic!("one span for each: {issuances:?}") };
    // printf 'https://issuer.example\njob:1' | sha256sum
    let workload = "workload=cf30bb9561d69470;";
    let named = [format!("writ={};", opened.writ), format!("session={};", opened.session), format!("target={TARGET};")];
    for field in named.iter().map(String::as_str).chain([workload]) {
        assert!(issued.contains(field), "{field} is not in {issued}");
    }
    assert!(refused.contains("request=") && !refused.contains("workload="), "nobody was proved: {refused}");
    let events = kept.events.lock().unwrap().clone();
    assert!(events.iter().any(|event| event.contains("code=\"identity.")), "{events:?}");
    let all = format!("{spans:?}{events:?}");
    let parts: Vec<&str> = token.split('.').chain([CANARY, "job:1"]).collect();
    assert!(parts.iter().all(|part| !all.contains(part)), "{all}");
    world.stop().await;
}
