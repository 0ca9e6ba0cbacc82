//! The world's eyes for the kit: the database takes a user or not, OpenBao has a note and a lease or not.

use std::time::Duration;

use serde_json::json;
use writ_core::credential::Credential;
use writ_core::provider::{Pending, Provider};
use writ_core::time::Timestamp;
use writ_provider_kit::{Harness, LiveSession, Trouble};

use crate::world::{CLOSED, READER, World, client};

struct Session(tokio_postgres::Client);

impl LiveSession for Session {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { self.0.simple_query("SELECT 1").await.is_ok() })
    }
}

impl Harness for World {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn role(&self) -> Option<String> {
        Some(READER.to_owned())
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let password = std::str::from_utf8(secret).unwrap();
            let url = format!(
                "host=127.0.0.1 port={} dbname=orders user='{principal}' password='{password}' sslmode=disable",
                self.postgres.port()
            );
            let client = client(&url).await.ok()?;
            Some(Box::new(Session(client)) as Box<dyn LiveSession>)
        })
    }

    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        Box::pin(async move { self.noted(principal).await || self.has_user(principal).await })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        // The database's own end of a user is five seconds after its lease's.
        Box::pin(async { None })
    }

    /// The lease's, to the second: the provider counts from what it was granted, OpenBao has its own clock.
    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async {
            let body = json!({ "lease_id": credential.audit });
            let (_, lease) = self.bao.ask("POST", "sys/leases/lookup", Some(&body)).await.unwrap();
            let end: Timestamp = lease["data"]["expire_time"].as_str()?.parse().ok()?;
            let reported = credential.expires?;
            let off = end.duration_since(reported).as_secs_f64();
            Some(if (-0.1..2.0).contains(&off) { reported } else { end })
        })
    }

    fn forgets_within(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(&self.down)
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(&self.silent)
    }

    fn refused_role(&self) -> Option<String> {
        Some(CLOSED.to_owned())
    }

    fn troubled(&self, trouble: Trouble) -> Option<&dyn Provider> {
        self.troubled.iter().find(|(kind, _)| *kind == trouble).map(|(_, provider)| provider as &dyn Provider)
    }

    fn canaries(&self) -> Vec<String> {
        vec![self.bao.root_token().to_owned(), self.postgres.password().to_owned()]
    }
}
