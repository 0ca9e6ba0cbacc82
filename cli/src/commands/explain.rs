//! `writ policy explain`: what the configured policies say to a token, without asking a broker.
//!
//! The token is decoded, never verified, and nothing is granted: a decision printed here proves nothing about who made the
//! token. The token itself is read from a file or standard input, so that it stands in no process list, and is never printed.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::{Map, Value};
use writ_broker::config::{BrokerConfig, TargetConfig};
use writ_broker::identity::IssuerConfig;
use writ_core::client::ClientKey;
use writ_core::command::CommandTag;
use writ_core::target::{Address, Target};
use writ_core::time::{Clock as _, SystemClock, Timestamp};
use writ_core::workload::{Issuer, Subject, TokenId, TokenKind, Workload};
use writ_policy::{ConnectContext, Explanation, Missed, explain_command, explain_connect, missed};
use zeroize::Zeroizing;

use crate::compose::config::{self, ProviderTable};
use crate::failure::{Doing as _, Failure};
use crate::{out, private};

/// The longest token that is read, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Which question.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The file with the token; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    #[command(flatten)]
    question: Question,
    /// Explain each kind of command too.
    #[arg(long)]
    commands: bool,
}

/// What is asked of the configured policies.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The target's name in the configuration.
    #[arg(long, value_name = "NAME")]
    target: String,
    /// The configuration with the targets and the policies.
    #[arg(long, default_value = "writ.toml", value_name = "FILE")]
    config: PathBuf,
    /// Another directory of policies than the configured one.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// The role that the client asks for.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// The database that the client asks for.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The client's address, as the gateway would see it.
    #[arg(long, value_name = "ADDRESS")]
    client_address: Option<String>,
    /// The key that the client would prove: its thumbprint (RFC 7638).
    #[arg(long, value_name = "THUMBPRINT")]
    client_key: Option<ClientKey>,
}

/// Runs the command.
///
/// # Errors
/// If the configuration, the policies or the token cannot be read, or there is no such target.
pub(crate) fn run(explain: &Explain) -> Result<(), Failure> {
    let asked = explain.question.of(&token(&explain.token)?)?;
    out::note("the token was decoded, not verified: anybody could have written these claims");
    for doubt in &asked.doubts {
        out::note(&out::harmless(doubt));
    }
    print(&format!("connect to {}", asked.target.name), &asked.explain());
    if explain.commands {
        for tag in CommandTag::ALL {
            print(&format!("\n{}", tag.as_str()), &explain_command(&asked.bundle, &asked.workload, &asked.target, tag));
        }
    }
    Ok(())
}

/// A question with a token: everything that policy is told.
pub(crate) struct Asked {
    bundle: writ_policy::Bundle,
    /// Whose token it is.
    pub workload: Workload,
    /// The target.
    pub target: Target,
    context: ConnectContext,
    /// Why the broker would refuse the token before it asks policy.
    pub doubts: Vec<String>,
}

impl Question {
    /// The question whether a target may be reached, as somebody who asks for nothing in particular there.
    pub(crate) const fn about(target: String, config: PathBuf, policies: Option<PathBuf>) -> Self {
        Self { target, config, policies, role: None, database: None, client_address: None, client_key: None }
    }

    /// Puts the question for a token, as the broker would.
    ///
    /// # Errors
    /// If the configuration or the policies cannot be read, this is no token, or there is no such target.
    pub(crate) fn of(&self, token: &str) -> Result<Asked, Failure> {
        let read = config::read(&self.config)?;
        let broker = read.config.broker.ok_or_else(|| {
            Failure::new(format!("`{}` has no `[broker]`, so it names no targets", self.config.display()))
                .help("name the broker's configuration with `--config FILE`")
        })?;
        let target = find(&broker, &self.target)?;
        let bundle = bundle(self.policies.as_deref().unwrap_or(&broker.policies))?;
        let now = SystemClock.now();
        let token = of_its_trust_domain(&broker, decode(token)?);
        let mut doubts = doubts(&broker, &token, now);
        let mut workload = workload(token)?;
        let named = |issuer: &&IssuerConfig| issuer.issuer() == workload.issuer.as_str();
        if let Some(issuer) = broker.issuers.iter().find(named)
            && let Err(fault) = issuer.attribute(&mut workload.claims)
        {
            doubts.push(format!("the broker would refuse the token: {fault}"));
        }
        let context = ConnectContext {
            now,
            client_address: self.client_address.clone(),
            database_role: self.role.clone(),
            database: self.database.clone(),
            client_key: self.client_key.clone(),
            ttl_cap_seconds: broker.max_ttl.get().as_secs(),
        };
        Ok(Asked { bundle, workload, target, context, doubts })
    }
}

impl Asked {
    /// What policy says, and how it came about.
    #[must_use]
    pub(crate) fn explain(&self) -> Explanation {
        explain_connect(&self.bundle, &self.workload, &self.target, &self.context)
    }

    /// What keeps each policy that is about this target from counting.
    #[must_use]
    pub(crate) fn missed(&self) -> Vec<Missed> {
        missed(&self.bundle, &self.workload, &self.target, &self.context)
    }
}

/// Prints what policy says to a question.
pub(crate) fn print(question: &str, explanation: &impl fmt::Display) {
    out::line(&out::harmless(&format!("{question}: {explanation}")));
}

/// The policy set of a directory.
///
/// # Errors
/// If it cannot be read or has a mistake.
pub(crate) fn bundle(directory: &Path) -> Result<writ_policy::Bundle, Failure> {
    let files = writ_broker::bundle::read_files(directory).doing("the policies cannot be read")?;
    writ_policy::Bundle::load(files).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(lines.join("\n")).help("mend the policies, then ask again")
    })
}

fn find(broker: &BrokerConfig<ProviderTable>, name: &str) -> Result<Target, Failure> {
    let found = broker.targets.iter().find(|target| target.name.to_string() == name);
    found.map(target).ok_or_else(|| {
        let names: Vec<String> = broker.targets.iter().map(|target| format!("`{}`", target.name)).collect();
        Failure::new(format!("there is no target `{name}`")).help(format!("the configured ones: {}", names.join(", ")))
    })
}

fn target(config: &TargetConfig<ProviderTable>) -> Target {
    Target {
        name: config.name.clone(),
        labels: config.labels.clone(),
        protocol: config.protocol,
        address: Address { host: config.host.clone(), port: config.port(), tls: config.tls, ca_pem: None },
        provider: config.provider.kind().to_owned(),
    }
}

/// Reads a token from a file that only its owner can read, or from standard input where `path` is `-`.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn token(path: &Path) -> Result<Zeroizing<String>, Failure> {
    if path != Path::new("-") {
        return private::read_text(path);
    }
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_string(&mut text);
    read.doing("the token cannot be read from standard input")?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// A token's claims, as whoever made it wrote them.
pub(crate) type Decoded = Map<String, Value>;

/// Decodes a token's claims; its signature is not looked at.
///
/// # Errors
/// If it is no workload's token.
pub(crate) fn decode(token: &str) -> Result<Decoded, Failure> {
    let mistake = || {
        Failure::new("this is no signed JSON web token: it is not three parts of base64url text with JSON in them")
            .help("show the token as the workload sends it, in a file or on standard input with `--token -`")
    };
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(mistake());
    };
    let object = |part: &str| -> Option<Decoded> {
        serde_json::from_slice(&Zeroizing::new(URL_SAFE_NO_PAD.decode(part).ok()?)).ok()
    };
    let header = object(header).ok_or_else(mistake)?;
    if header
        .get("typ")
        .and_then(Value::as_str)
        .is_some_and(|typ| typ.eq_ignore_ascii_case(writ_broker::identity::session_token::TYP))
    {
        return Err(Failure::new(
            "this is a session token of the broker's own, which policies have decided on already",
        )
        .help("show the workload's token that it was issued for"));
    }
    object(claims).ok_or_else(mistake)
}

/// A JWT-SVID's issuer is its subject's trust domain, whatever else stands there.
fn of_its_trust_domain(broker: &BrokerConfig<ProviderTable>, mut claims: Decoded) -> Decoded {
    let domain =
        claims.get("sub").and_then(Value::as_str).and_then(|id| id.strip_prefix("spiffe://")?.split('/').next());
    let issuer = domain.map(|domain| format!("spiffe://{domain}"));
    if let Some(issuer) = issuer.filter(|issuer| broker.issuers.iter().any(|known| known.issuer() == *issuer)) {
        claims.insert("iss".to_owned(), issuer.into());
    }
    claims
}

/// Why the broker would refuse the token before any policy is asked, as far as claims alone can tell.
fn doubts(broker: &BrokerConfig<ProviderTable>, claims: &Decoded, now: Timestamp) -> Vec<String> {
    let mut found = Vec::new();
    let named = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let Some(issuer) = broker.issuers.iter().find(|issuer| issuer.issuer() == named) else {
        return vec![format!("the broker would refuse the token: no issuer `{named}` is configured")];
    };
    let own = [broker.audience.clone()];
    let accepted = if issuer.audiences.is_empty() { &own[..] } else { &issuer.audiences[..] };
    let meant = match claims.get("aud") {
        Some(Value::String(one)) => accepted.contains(one),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(|one| accepted.iter().any(|a| a == one)),
        _ => false,
    };
    if !meant {
        found.push(format!("the broker would refuse the token: it is not for `{}`", accepted.join("` or `")));
    }
    match claims.get("exp").and_then(Value::as_i64) {
        Some(expires) if expires > now.as_second() => {}
        Some(_) => found.push("the broker would refuse the token: it has expired".to_owned()),
        None => found.push("the broker would refuse the token: it has no `exp`".to_owned()),
    }
    found
}

fn workload(claims: Decoded) -> Result<Workload, Failure> {
    let text = |claim: &str| {
        let found = claims.get(claim).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| Failure::new(format!("the token has no `{claim}`: no workload could be told from it")))
    };
    Ok(Workload {
        issuer: Issuer::new(text("iss")?),
        subject: Subject::new(text("sub")?),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti(text("jti").unwrap_or_default()),
        token_expires: Timestamp::MAX,
        bound_target: None,
        claims: claims.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests;
