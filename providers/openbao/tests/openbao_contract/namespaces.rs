//! All that the example sets up, in a namespace of OpenBao's: the root has the same, and is not asked.

use std::time::{Duration, Instant};

use serde_json::json;
use writ_core::provider::Provider as _;
use writ_core::writ::CredentialFacts;
use writ_provider_kit as kit;

use crate::world::{World, client, set_up};
use crate::{DEADLINE, LIFE};

const ROLES: &str = "CREATE ROLE openbao_team LOGIN CREATEROLE PASSWORD 'first';
    GRANT orders_reader, orders_owner TO openbao_team WITH ADMIN OPTION; GRANT pg_signal_backend TO openbao_team";

pub(crate) async fn check(world: &World) {
    world.bao.write("sys/namespaces/team", &json!({})).await.unwrap();
    let superuser = client(&world.postgres.url("postgres")).await.unwrap();
    superuser.batch_execute(ROLES).await.unwrap();
    let team = |script: String| {
        format!(
            "export BAO_NAMESPACE=team\n{}",
            script.replace("\"username\": \"openbao\"", "\"username\": \"openbao_team\"")
        )
    };
    set_up(&world.bao, &world.postgres, &world.issuer, world.files.path(), team);
    let changes = json!({
        "namespace": "team",
        "dynamic": { "path": "database/creds/orders-reader", "paths": ["database/creds/orders-owner"], "notes": "writ" },
    });
    let provider = world.with(&changes);
    provider.probe(&world.target, DEADLINE).await.unwrap();
    for told in [false, true] {
        let mut writ = kit::writ(None, LIFE);
        let minted = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
        let credential = minted.credential().unwrap();
        let user = credential.principal.clone();
        let note = format!("team/writ/data/{}", writ.id);
        assert_eq!(world.bao.ask("GET", &note, None).await.unwrap().0, 200);
        assert!(world.has_user(&user).await && !world.noted(&writ.id.to_string()).await);
        if told {
            writ.credential = Some(CredentialFacts::of(credential, false));
        }
        world.with(&changes).revoke(&world.target, &writ, DEADLINE).await.unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while world.has_user(&user).await {
            assert!(!told && Instant::now() < until, "the user is left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(world.bao.ask("GET", &note, None).await.unwrap().0, 404);
    }
}
