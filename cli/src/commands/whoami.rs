//! `writ whoami`: where this workload's token comes from and what it claims. Never the token, nor its signature.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use writ_client::{Audience, Claims, Found, Proof, Token, preset_of};

use super::source::{TokenSource, audience, failure};
use super::{Connection, print_json};
use crate::failure::Failure;
use crate::out;

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Whoami {
    /// Whom the token is for: the broker's `audience`.
    #[arg(long, env = "WRIT_AUDIENCE", default_value = "writ")]
    audience: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: TokenSource,
}

/// Shows who this workload is.
///
/// # Errors
/// If there is no source, or it gives no token.
pub(crate) async fn run(options: &Whoami, connection: &Connection) -> Result<(), Failure> {
    let audience = audience(&options.audience)?;
    let found = options.source.find(connection, None).await?;
    let token = found.token(&audience).await.map_err(|fault| failure(&fault))?;
    let shown = Shown::of(&found, &token, &audience);
    if options.json {
        return print_json(&shown.json());
    }
    out::raw(&shown.text());
    out::note("this was decoded, not verified: the broker verifies it");
    Ok(())
}

struct Shown<'a> {
    found: &'a Found,
    audience: &'a Audience,
    said: Said,
}

/// What a token says of itself.
enum Said {
    Claims(Claims),
    Proof(Proof),
    Nothing,
}

impl<'a> Shown<'a> {
    fn of(found: &'a Found, token: &Token, audience: &'a Audience) -> Self {
        let said = match (token.claims(), Proof::of(token)) {
            (Some(claims), _) => Said::Claims(claims),
            (None, Some(proof)) => Said::Proof(proof),
            (None, None) => Said::Nothing,
        };
        Self { found, audience, said }
    }

    fn preset(&self) -> Option<&'static str> {
        match &self.said {
            Said::Claims(claims) => preset_of(claims),
            Said::Proof(_) => Some("aws"),
            Said::Nothing => None,
        }
    }

    fn json(&self) -> Value {
        let mut shown = json!({
            "source": self.found.name(), "how": self.found.how(), "preset": self.preset(), "asked": self.audience.as_str(),
        });
        let Value::Object(members) = &mut shown else { return shown };
        match &self.said {
            Said::Claims(claims) => {
                members.insert("issuer".to_owned(), json!(claims.text("iss")));
                members.insert("subject".to_owned(), json!(claims.text("sub")));
                members.insert("audience".to_owned(), json!(claims.audiences()));
                members.insert("expires".to_owned(), json!(end(claims)));
                members.insert("claims".to_owned(), Value::Object(claims.all().clone()));
            }
            Said::Proof(proof) => {
                let Proof { host, access_key, signed, seconds } = proof;
                let proof = json!({ "host": host, "access_key": access_key, "signed": signed, "seconds": seconds });
                members.insert("proof".to_owned(), proof);
            }
            Said::Nothing => {}
        }
        shown
    }

    fn text(&self) -> String {
        let mut rows = vec![
            row("source", &format!("{} ({})", self.found.name(), self.found.how())),
            row("preset", self.preset().unwrap_or("none: configure the issuer")),
        ];
        match &self.said {
            Said::Claims(claims) => {
                rows.push(row("issuer", claims.text("iss").unwrap_or("none")));
                rows.push(row("subject", claims.text("sub").unwrap_or("none")));
                rows.push(row("audience", &claims.audiences().join(", ")));
                rows.push(row("expires", &end(claims).unwrap_or_else(|| "never".to_owned())));
                let others =
                    claims.all().iter().filter(|(name, _)| !["iss", "sub", "aud", "exp"].contains(&name.as_str()));
                rows.extend(others.map(|(name, value)| row(&format!("  {name}"), &plain(value))));
            }
            Said::Proof(proof) => {
                rows.push(row("proof", &format!("sts:GetCallerIdentity at {}", proof.host)));
                rows.push(row("access key", &proof.access_key));
                rows.push(row("signed", &format!("{}, good for {} s", proof.signed, proof.seconds)));
            }
            Said::Nothing => rows.push(row("token", "opaque: it says nothing of itself")),
        }
        out::table(&rows)
    }
}

fn row(name: &str, value: &str) -> Vec<String> {
    vec![out::one_line(name), out::one_line(value)]
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn end(claims: &Claims) -> Option<String> {
    Timestamp::from_second(claims.ends()?).ok().map(|end| end.to_string())
}
