//! `writ demo`: the whole of Writ on one machine, shown step by step.
//!
//! Nothing here is scripted output. Each step runs a real command against a real server, prints what it printed, and
//! checks that it showed what the heading claims; if one does not, the demo ends with a status other than 0.

mod freeze;
mod postgres;
mod seed;
mod shown;
mod steps;
mod verdicts;

use std::path::PathBuf;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clap::Args;
use writ_core::credential::Secret;

use crate::dev;
use crate::failure::{Doing as _, Failure};
use crate::interrupt::Interrupt;
use crate::{out, private};

/// Options of `writ demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the steps instead of staying up.
    #[arg(long)]
    exit: bool,
}

/// What the steps work on. Dropped in this order: Writ first, then the server, then the directory.
struct Scene {
    stack: dev::Stack,
    postgres: postgres::Postgres,
    directory: tempfile::TempDir,
}

/// Runs the demo.
///
/// # Errors
/// If a part cannot be started, or a step did not show what it claims.
pub(crate) async fn run(demo: Demo) -> Result<(), Failure> {
    let mut interrupt = Interrupt::with_hangup()?;
    out::outlive_the_reader();
    out::line("Writ: a CI job queries PostgreSQL with nothing but its OIDC token.");
    out::line("Everything runs on loopback, in a temporary directory that is removed at the end.");
    // Not cut short: what is half started cannot be stopped in order. It takes seconds.
    let scene = Scene::set().await?;
    let outcome = tokio::select! {
        biased;
        () = interrupt.next() => Err(Failure::new("the demo was ended before it had shown every step")),
        outcome = steps::run(&scene) => outcome,
    };
    if outcome.is_ok() && !demo.exit && !out::unread() {
        steps::invite(&scene);
        interrupt.next().await;
        out::line("\nEnding: sessions first, then the broker, then PostgreSQL.");
    }
    let struck = scene.strike(&mut interrupt).await;
    outcome.and(struck)
}

impl Scene {
    async fn set() -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("writ-demo-").tempdir().doing("no temporary directory")?;
        shown::heading(1, "Start a real PostgreSQL server and seed a payments database");
        let password = random_password()?;
        let base = directory.path().to_owned();
        let seeded = password.clone();
        let postgres =
            tokio::task::spawn_blocking(move || start_postgres(base, &seeded)).await.doing("starting PostgreSQL")??;
        out::line(&format!(
            "    PostgreSQL listens on 127.0.0.1:{}; three cardholders are in `payments`",
            postgres.port()
        ));

        shown::heading(2, "Start Writ: dev issuer, broker and gateway in one process");
        let stack = dev::Stack::start(dev::Settings {
            state: directory.path().join("writ"),
            listen: None,
            targets: ["payments", "payroll"]
                .iter()
                .map(|name| dev::TargetSettings {
                    name: (*name).to_owned(),
                    host: "127.0.0.1".to_owned(),
                    port: postgres.port(),
                    database: (*name).to_owned(),
                    admin_user: "writ_broker".to_owned(),
                    admin_password: Secret::new(password.as_bytes().to_vec()),
                })
                .collect(),
            role: Some("payments_reader".to_owned()),
            permitted: "payments".to_owned(),
            masks: Some(("cards", seed::CARDS)),
            statements: verdicts::POLICY,
        })
        .await?;
        out::line(&format!(
            "    the gateway listens on {}, the broker on {}",
            stack.gateway_address(),
            stack.broker_url()
        ));
        Ok(Self { stack, postgres, directory })
    }

    /// Stops everything and removes the directory. A second Ctrl-C does so without waiting for recordings.
    async fn strike(self, interrupt: &mut Interrupt) -> Result<(), Failure> {
        tokio::select! {
            () = self.stack.stop() => {}
            () = interrupt.next() => {}
        }
        drop(self.postgres);
        let path = self.directory.path().display().to_string();
        self.directory.close().doing(format!("`{path}` cannot be removed"))
    }
}

fn start_postgres(base: PathBuf, password: &str) -> Result<postgres::Postgres, Failure> {
    let server = postgres::Postgres::start(&base).doing("PostgreSQL cannot be started")?;
    server.sql(&base, "postgres", &seed::ROLES.replace("{password}", password)).doing("the roles cannot be made")?;
    server.sql(&base, "payments", seed::ROWS).doing("the rows cannot be made")?;
    Ok(server)
}

/// 256 random bits in hexadecimal: safe inside an SQL string.
fn random_password() -> Result<zeroize::Zeroizing<String>, Failure> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| Failure::new("no random numbers can be had"))?;
    Ok(zeroize::Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// The directory in which the steps keep their own files.
fn scratch(scene: &Scene, name: &str) -> Result<PathBuf, Failure> {
    let path = scene.directory.path().join(name);
    private::directory(&path)?;
    Ok(path)
}
