//! The space that scope and tags share: watched, warned of, and said where it is too small.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::{Value, json};
use writ_core::provider::ProviderFault;
use writ_provider_aws::By;

use crate::canary;
use crate::providers::{aws, mint, writ};
use crate::world::{LIFE, shared};

/// Keeps the last value of the one gauge that is asked for.
#[derive(Default)]
struct Watch(Arc<Last>);

#[derive(Default)]
struct Last(AtomicU64);

impl GaugeFn for Last {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::SeqCst);
    }
}

impl Recorder for Watch {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if key.name() == "writ_aws_packed_policy_percent" {
            Gauge::from_arc(Arc::clone(&self.0))
        } else {
            Gauge::noop()
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn the_space_of_scope_and_tags_is_watched() {
    let world = shared();
    let watch = Watch::default();
    let last = Arc::clone(&watch.0);
    let _recording = metrics::set_default_local_recorder(&watch);
    for by in [By::Issuer, By::Workload, By::Broker] {
        for (tags, full) in [(0, false), (6, true), (9, true)] {
            if by == By::Workload && tags > 0 {
                continue;
            }
            let long = |settings: &mut Value| {
                for number in 0..tags {
                    settings["assume"]["tags"][format!("long-{number}")] = json!("x".repeat(240));
                }
            };
            let provider = aws(&world, by, world.front.url(), &long);
            let writ = writ(&world, None, LIFE);
            let id = writ.id.to_string();
            let minted = mint(&world, &provider, &writ).await;
            if tags == 9 {
                let fault = minted.unwrap_err();
                assert!(matches!(fault, ProviderFault::Misconfigured(_)), "{fault:?}");
                let words = ["PackedPolicyTooLarge", "write a shorter scope, or fewer `tags`", "docs/providers/aws.md"];
                assert!(words.iter().all(|word| fault.detail().contains(word)), "{fault:?}");
                assert!(world.front.sessions().iter().all(|session| session.name != id));
                continue;
            }
            drop(minted.unwrap());
            let issued = &world.front.audit_naming(&id)[0]["responseElements"]["packedPolicySize"];
            let seen = f64::from_bits(last.0.load(Ordering::SeqCst));
            assert_eq!(json!(seen), json!(issued.as_f64().unwrap()), "{by:?}");
            assert_eq!(seen > 90.0, full, "{by:?}: {seen}");
            let warned = format!("role=arn:aws:iam::123456789012:role/reports session=\"{id}\"");
            assert_eq!(canary::said(&warned), full, "{by:?}: {seen}");
        }
    }
    canary::check();
}
