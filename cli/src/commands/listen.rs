//! `writ listen`: ways to several targets that stay open for the programs of a job, none of which sees a token.
//!
//! What `writ connect` does for one command it does for whatever comes, until it is ended: a Unix socket or a port of loopback
//! for each target, and a file of services that libpq reads.
//!
//! Never: write a token anywhere; leave a socket or the file of services behind.

mod named;
mod report;
mod services;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use writ_broker::duration::Span;
use writ_client::connect::{ClientKey, Door, PORT, Passage, Port};

use self::named::Named;
use self::report::{Report, Reporter};
use self::services::{Place, Services};
use super::Connection;
use super::connect::{Way, WayArgs};
use super::source::failure;
use crate::failure::{Doing as _, Failure};
use crate::interrupt::{Interrupt, ignores};

/// Which targets, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// `TARGET`, or `TARGET/ROLE` for a role at the database: behind a Unix socket. With `=PORT` at this port of loopback; 0 is
    /// any that is free.
    #[arg(required = true, value_name = "TARGET[=PORT]")]
    targets: Vec<String>,
    /// End after this time, such as `45m` or `6h`. Without it a signal ends it.
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    life: Option<Span>,
    /// Write this file for `PGSERVICEFILE`, with a service for each target. It is there once all of them can be reached, and goes
    /// at the end.
    #[arg(long, value_name = "FILE")]
    service_file: Option<PathBuf>,
    /// Print what happens as JSON, a line for each event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    way: WayArgs,
}

fn span(text: &str) -> Result<Span, String> {
    let span = Span::parse(text).map_err(|error| error.to_string())?;
    if span.get().is_zero() { Err("it would end before it began".to_owned()) } else { Ok(span) }
}

/// Opens the ways, and closes them when their time is over or a signal comes.
///
/// # Errors
/// If there is no token to be had, the gateway is not the one that it should be, or nobody can listen.
pub(crate) async fn run(options: &Listen, connection: &Connection) -> Result<(), Failure> {
    let named = Named::all(&options.targets)?;
    // What `nohup` makes deaf stays so.
    let mut interrupt = if ignores(Signal::SIGHUP) { Interrupt::new() } else { Interrupt::with_hangup() }?;
    let way = options.way.find(connection).await?;
    tokio::select! {
        sound = sound(&way) => sound?,
        () = interrupt.next() => return Err(Failure::new("it was ended before it listened")),
    }
    let report = Arc::new(Report::new(options.json));
    let mut opened = Vec::with_capacity(named.len());
    for target in &named {
        opened.push((target, Opening::of(target).await?));
    }
    let until = options.life.map(|life| Timestamp::now() + SignedDuration::from_millis(life.as_millis()));
    let places: Vec<Place> = opened.iter().map(|(target, opening)| opening.place(target)).collect();
    let services = options.service_file.as_deref().map(|file| Services::write(file, &places)).transpose()?;

    let (end, ends) = watch::channel(());
    let mut serving = JoinSet::new();
    for (target, opening) in opened {
        let watching = Reporter::new(target.name(), Arc::clone(&report));
        let passage = way.to(&target.goal, &target.goal.target, Box::new(watching));
        serving.spawn(opening.serve(passage, ends.clone()));
    }
    drop(ends);
    report.ready(&places, until, way.key.as_ref().map(ClientKey::thumbprint));
    let why = tokio::select! {
        () = interrupt.next() => "a signal",
        () = over(options.life) => "its time is over",
    };
    // Who comes from here on finds nothing; who is there has a moment for its last words.
    drop(services);
    drop(end);
    while let Some(served) = serving.join_next().await {
        served.doing("a way was lost")?;
    }
    report.ended(why);
    Ok(())
}

/// Whether a token can be had and the gateway is the one that it should be: who waits for the ways hears it now, and not from
/// each program that takes one. The token opens nothing and is dropped.
async fn sound(way: &Way) -> Result<(), Failure> {
    let token = async { way.found.token(&way.audience).await.map(drop) };
    let ((), ()) = tokio::try_join!(token, way.gateway.verify()).map_err(|fault| failure(&fault))?;
    Ok(())
}

async fn over(life: Option<Span>) {
    match life {
        Some(life) => tokio::time::sleep(life.get()).await,
        None => core::future::pending().await,
    }
}

/// Where one target is found.
enum Opening {
    Door(Door),
    Port(Port),
}

impl Opening {
    async fn of(target: &Named) -> Result<Self, Failure> {
        let opened = match target.port {
            None => Door::open().map(Self::Door),
            Some(port) => Port::open(port).await.map(Self::Port),
        };
        opened.map_err(|fault| failure(&fault))
    }

    fn place(&self, target: &Named) -> Place {
        let (host, port) = match self {
            Self::Door(door) => (door.directory().display().to_string(), PORT),
            Self::Port(port) => ("127.0.0.1".to_owned(), port.number()),
        };
        Place { name: target.name().to_owned(), host, port, database: target.goal.target.clone() }
    }

    async fn serve(self, passage: Passage, mut ends: watch::Receiver<()>) {
        // It changes never, and is closed once.
        let end = async { while ends.changed().await.is_ok() {} };
        match self {
            Self::Door(door) => door.serve(passage, end).await,
            Self::Port(port) => port.serve(passage, end).await,
        }
    }
}
