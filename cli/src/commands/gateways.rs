//! `writ gateways`: joining, listing, revoking.

use clap::Subcommand;
use writ_broker_api::admin::{Gateway, JoinToken, JoinTokenRequest};
use writ_core::id::GatewayId;

use super::Connection;
use crate::failure::Failure;
use crate::out;

/// What to do with gateways.
#[derive(Debug, Subcommand)]
pub(crate) enum Gateways {
    /// Print a join token: usable once, within an hour.
    JoinToken {
        /// A label that a target must have for the gateway, `NAME=VALUE`; again for more. Without any it serves every target.
        #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
        serves: Vec<(String, String)>,
    },
    /// List gateways.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a gateway: it is refused from now on, and its sessions' credentials are taken back.
    Revoke {
        /// The gateway.
        gateway: GatewayId,
    },
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn run(command: Gateways, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    match command {
        Gateways::JoinToken { serves } => {
            let request = JoinTokenRequest { serves: serves.into_iter().collect() };
            let token: JoinToken = api.post("/v1/join-tokens", &request).await?;
            out::line(&token.join_token);
            out::note(&format!("it can be used once, until {}", token.expires));
        }
        Gateways::Ls { json } => {
            let gateways: Vec<Gateway> = api.get("/v1/gateways").await?;
            if json {
                return super::print_json(&gateways);
            }
            let head = ["GATEWAY", "STATE", "SERVES", "LAST HEARD", "JOINED"].map(str::to_owned).to_vec();
            let rows = gateways.iter().map(|gateway| {
                let state = if gateway.revoked { "revoked" } else { "good" };
                let seen = gateway.seen.map_or_else(|| "never".to_owned(), |seen| seen.to_string());
                let labels = gateway.serves.iter().map(|(name, value)| format!("{name}={value}"));
                let serves =
                    if gateway.serves.is_empty() { "all".to_owned() } else { labels.collect::<Vec<_>>().join(",") };
                vec![gateway.id.to_string(), state.to_owned(), serves, seen, gateway.enrolled.to_string()]
            });
            out::raw(&out::table(&core::iter::once(head).chain(rows).collect::<Vec<_>>()));
        }
        Gateways::Revoke { gateway } => {
            api.post_nothing(&format!("/v1/gateways/{gateway}/revoke")).await?;
            out::line(&format!("{gateway} is revoked"));
        }
    }
    Ok(())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as `name=value`".to_owned()),
    }
}
