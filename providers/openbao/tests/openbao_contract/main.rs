//! The provider against a real OpenBao, set up by the example's own script, that makes users of a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod canary;
mod crash;
mod dynamic;
#[path = "../../../kubernetes/tests/cluster/https.rs"]
mod https;
mod issuer;
mod kit;
mod kv;
mod misses;
mod namespaces;
mod trouble;
mod world;

use std::time::Duration;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openbao_2_7() {
    let world = world::World::start().await;
    assert_eq!(writ_provider_kit::run(&world).await, Vec::<String>::new());
    // Before the others give the role more rights.
    misses::check(&world).await;
    dynamic::check(&world).await;
    crash::check(&world).await;
    kv::check(&world).await;
    namespaces::check(&world).await;
    canary::check(&world).await;
    assert!(!world.bao.log().contains("panic"));
}
