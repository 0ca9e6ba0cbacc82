//! A job of GitHub Actions: who its token says that it is, and what of a policy it misses.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use writ_client::{Claims, Environment, Found, Source};
use writ_policy::Missed;

use crate::commands::Connection;
use crate::commands::explain::{self, Asked, Question};
use crate::commands::source::{TokenSource, audience, failure};
use crate::failure::Failure;
use crate::out;

/// The claims that policies for GitHub's jobs speak of, and the attributes that the preset makes of them.
const SHOWN: [(&str, &str, &str); 10] = [
    ("repository", "repository", "ci.repository"),
    ("repository id", "repository_id", "ci.repository_id"),
    ("owner", "repository_owner", "ci.owner"),
    ("owner id", "repository_owner_id", "ci.owner_id"),
    ("environment", "environment", "ci.environment"),
    ("ref", "ref", "ci.ref"),
    ("event", "event_name", "ci.event"),
    ("workflow", "job_workflow_ref", "ci.definition"),
    ("issuer", "iss", "principal.issuer"),
    ("subject", "sub", "principal.subject"),
];

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Github {
    /// Whom the token is for: the broker's `audience`.
    #[arg(long, env = "WRIT_AUDIENCE", default_value = "writ")]
    audience: String,
    /// A target of the configuration: what would policy say, and which rule is missed?
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The broker's configuration, with the targets and the policies.
    #[arg(long, default_value = "writ.toml", value_name = "FILE", requires = "target")]
    config: PathBuf,
    /// Another directory of policies than the configured one.
    #[arg(long, value_name = "DIR", requires = "target")]
    policies: Option<PathBuf>,
    #[command(flatten)]
    source: TokenSource,
}

/// Shows what the job's token claims, and what policy makes of it.
///
/// # Errors
/// If there is no token, it is no token of GitHub's, or the job would not get in.
pub(crate) async fn run(options: &Github, connection: &Connection) -> Result<(), Failure> {
    let audience = audience(&options.audience)?;
    let found = if options.source.is_named() {
        options.source.find(connection, None).await?
    } else {
        Found::named(Source::GithubActions, Environment::of_process())
    };
    let token = found.token(&audience).await.map_err(|fault| failure(&fault))?;
    let claims = token.claims().filter(|claims| claims.text("repository_id").is_some()).ok_or_else(|| {
        Failure::new("this is no token of a job of GitHub Actions: it has no `repository_id`")
            .help("run this in a step of the job, or name another source with `--from`")
    })?;
    out::note("the token was decoded, not verified: anybody could have written these claims");
    for (name, claim, attribute) in SHOWN {
        let value = claims.text(claim).unwrap_or("none");
        out::line(&format!("{name:<15} {:<50} {attribute}", out::one_line(value)));
    }
    let Some(target) = &options.target else {
        out::line(&format!("\na policy for such jobs: {}", proposal(&claims)));
        return Ok(());
    };
    let question = Question::about(target.clone(), options.config.clone(), options.policies.clone());
    diagnose(&question.of(token.expose())?)
}

/// The command that writes a policy for such jobs.
fn proposal(claims: &Claims) -> String {
    let word = |name: &str| shell(claims.text(name).unwrap_or_default());
    let place = if claims.text("environment").is_some() {
        format!("--environment {}", word("environment"))
    } else {
        format!("--ref {}", word("ref"))
    };
    format!(
        "writ policy from-github {} {place} --repository-id {} --owner-id {} --target TARGET",
        word("repository"),
        word("repository_id"),
        word("repository_owner_id")
    )
}

/// A word of a shell's line, whatever is in it.
fn shell(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'@');
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", out::one_line(text).replace('\'', r"'\''"))
}

fn diagnose(asked: &Asked) -> Result<(), Failure> {
    for doubt in &asked.doubts {
        out::line(&out::harmless(&format!("\n{doubt}")));
    }
    let explained = asked.explain();
    out::line("");
    explain::print(&format!("connect to {}", asked.target.name), &explained);
    let missed = asked.missed();
    for line in missed.iter().flat_map(|missed| lines(missed, &asked.workload.claims)) {
        out::line(&out::harmless(&line));
    }
    match &explained.decision {
        Ok(_) if asked.doubts.is_empty() => Ok(()),
        Ok(_) => Err(Failure::new("the broker would refuse this token").help("what is wrong with it stands above")),
        Err(denied) => Err(Failure::new(format!("policy does not let this job in ({})", denied.code))
            .help("which conditions it misses stands above; what the token claims is GitHub's word, so change the job or the policy")),
    }
}

/// What one policy misses, and what the token has instead.
fn lines(missed: &Missed, claims: &writ_core::workload::Claims) -> Vec<String> {
    let mut all = vec![format!("\n{} misses:", missed.policy.escape_debug())];
    for condition in &missed.conditions {
        all.push(format!("  {}", out::one_line(condition)));
        for tag in tags(condition) {
            let has = tag_of(claims, tag)
                .map_or_else(|| "nothing".to_owned(), |value| format!("`{}`", out::one_line(&value)));
            all.push(format!("    the token has {has} as `{}`", out::one_line(tag)));
        }
    }
    all
}

/// The tags that a condition reads.
fn tags(condition: &str) -> Vec<&str> {
    let parts = condition.split("Tag(\"").skip(1);
    let mut all: Vec<&str> = parts.filter_map(|part| part.split('"').next()).collect();
    all.dedup();
    all
}

/// What a tag is made of: the claim of this name, or a member of one.
fn tag_of(claims: &writ_core::workload::Claims, tag: &str) -> Option<String> {
    let value = claims.get(tag).or_else(|| {
        let (outer, inner) = tag.split_once('.')?;
        inner.split('.').try_fold(claims.get(outer)?, |value, name| value.get(name))
    })?;
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_missed_condition_is_shown_with_what_the_token_has() {
        let claims =
            json!({ "ci": { "environment": "staging\u{1b}[2J", "exposures": ["pull_request"] }, "sub": "job" });
        let claims = serde_json::from_value(claims).unwrap();
        let conditions = [
            "when { principal.getTag(\"ci.environment\") == \"production\" }",
            "when { principal.hasTag(\"ci.ref\") }",
        ];
        let missed = Missed { policy: "deploy".to_owned(), conditions: conditions.map(str::to_owned).to_vec() };
        let shown = lines(&missed, &claims).join("\n");
        assert!(
            shown.contains("deploy misses:") && shown.contains("the token has `staging\\u{1b}[2J` as `ci.environment`"),
            "{shown}"
        );
        assert!(shown.contains("the token has nothing as `ci.ref`"), "{shown}");
        assert_eq!(tag_of(&claims, "ci.exposures").as_deref(), Some("[\"pull_request\"]"));
        assert_eq!((tag_of(&claims, "sub").as_deref(), tag_of(&claims, "ci.none")), (Some("job"), None));
    }

    #[test]
    fn a_proposal_is_safe_to_paste() {
        assert_eq!(shell("refs/heads/main"), "refs/heads/main");
        assert_eq!(shell("a'; rm -rf $HOME #"), r"'a'\''; rm -rf $HOME #'");
        assert_eq!(shell(""), "''");
    }
}
