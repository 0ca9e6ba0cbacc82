//! `writ policy from-github`: a policy for the jobs of one repository, told by GitHub's own numbers.
//!
//! A name goes to whoever takes it next, a number to nobody: numbers come from who knows them (flags, a token, GitHub's API) and
//! are never guessed. Every name is data from outside: it stands in Cedar's strings, escaped, or on one line of a comment.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use writ_broker::duration::Span;
use writ_core::target::TargetName;

use super::github_api;
use super::suggested::quoted;
use crate::commands::explain::{Decoded, decode, token};
use crate::commands::targets;
use crate::failure::Failure;
use crate::{out, private};

/// GitHub's issuer, for all who have none of their own.
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Which jobs, and where to.
#[derive(Debug, Args)]
pub(crate) struct FromGithub {
    /// The repository: `OWNER/REPOSITORY`.
    #[arg(value_name = "OWNER/REPOSITORY")]
    repository: String,
    /// The target that its jobs may use.
    #[arg(long, value_parser = targets::name)]
    target: TargetName,
    /// The deployment environment that they must be in: GitHub asks its protection rules before the job. This, or `--ref`, or both.
    #[arg(long, value_name = "NAME", required_unless_present = "reference")]
    environment: Option<String>,
    /// The branch or tag that they must run for, such as `refs/heads/main`. This, or the environment, or both.
    #[arg(long = "ref", value_name = "REF", value_parser = whole_ref)]
    reference: Option<String>,
    /// How long a session may last.
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = span)]
    ttl: Span,
    /// The role at the target.
    #[arg(long)]
    role: Option<String>,
    /// The issuer of the tokens, where it is not GitHub's own.
    #[arg(long, default_value = ISSUER, value_name = "URL")]
    issuer: String,
    /// The repository's number.
    #[arg(long, value_name = "NUMBER", requires = "owner_id", group = "numbers")]
    repository_id: Option<u64>,
    /// Its owner's number.
    #[arg(long, value_name = "NUMBER", requires = "repository_id")]
    owner_id: Option<u64>,
    /// Take the numbers from a token of one of its jobs, in this file; `-` for standard input.
    #[arg(long, value_name = "FILE", group = "numbers")]
    token: Option<PathBuf>,
    /// Ask GitHub's REST API, at this address: `https://api.github.com`, or `https://ghe.example.org/api/v3`.
    #[arg(long, value_name = "URL", group = "numbers")]
    api: Option<String>,
    /// The file with a token for the API, for a repository that not everybody sees.
    #[arg(long, value_name = "FILE", requires = "api", conflicts_with_all = ["token", "repository_id"])]
    api_token_file: Option<PathBuf>,
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}

/// A ref as tokens have it: with a branch's bare name the policy would let nobody in.
fn whole_ref(text: &str) -> Result<String, String> {
    match text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/")) {
        Some(name) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("it is no whole ref: write `refs/heads/NAME` for a branch, `refs/tags/NAME` for a tag".to_owned()),
    }
}

/// A repository as GitHub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// `OWNER/REPOSITORY`.
    pub name: String,
    /// Its number.
    pub id: u64,
    /// Its owner's.
    pub owner_id: u64,
}

impl Repository {
    /// The repository with these numbers, if it is the one that was asked for.
    ///
    /// # Errors
    /// If it is another one, or a number is none.
    pub(super) fn told(asked: &str, name: String, id: u64, owner_id: u64, by: &str) -> Result<Self, Failure> {
        // GitHub's names differ by more than letters' case.
        if !name.eq_ignore_ascii_case(asked) {
            return Err(Failure::new(format!("{by} is about `{name}`, not about `{asked}`"))
                .help("name the repository that the policy is for"));
        }
        if id == 0 || owner_id == 0 {
            return Err(Failure::new(format!("{by} has no number of `{asked}`")).help("GitHub counts from 1"));
        }
        Ok(Self { name, id, owner_id })
    }
}

/// Runs the command.
///
/// # Errors
/// If the repository's name is none, or its numbers cannot be had.
pub(super) async fn run(options: &FromGithub) -> Result<(), Failure> {
    let asked = named(&options.repository)?;
    let repository = match (&options.token, &options.api) {
        (Some(file), _) => of_claims(asked, &decode(&token(file)?)?, &options.issuer)?,
        (None, Some(api)) => {
            let secret = options.api_token_file.as_deref().map(private::read_text).transpose()?;
            github_api::ask(api, asked, secret.as_ref()).await?
        }
        (None, None) => of_flags(asked, options)?,
    };
    let text = text(options, &repository);
    sound(&text)?;
    out::raw(&text);
    Ok(())
}

/// A repository's name as GitHub has them.
fn named(text: &str) -> Result<&str, Failure> {
    let plain = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && part.len() <= 100 && part.bytes().all(known) && part != "." && part != ".."
    };
    match text.split_once('/') {
        Some((owner, repository)) if plain(owner) && plain(repository) => Ok(text),
        _ => Err(Failure::new(format!("`{text}` names no repository"))
            .help("write `OWNER/REPOSITORY`, as `octo-org/octo-repo`")),
    }
}

/// The numbers on the command line.
fn of_flags(asked: &str, options: &FromGithub) -> Result<Repository, Failure> {
    let (Some(id), Some(owner_id)) = (options.repository_id, options.owner_id) else {
        return Err(Failure::new(format!("nobody says which number `{asked}` has")).help(
            "give `--repository-id` and `--owner-id`, `--token FILE`, or `--api https://api.github.com`: a name is not enough",
        ));
    };
    Repository::told(asked, asked.to_owned(), id, owner_id, "the command line")
}

/// The numbers in a token. It is decoded, not verified: what is written is to be read before it is put in force.
fn of_claims(asked: &str, claims: &Decoded, issuer: &str) -> Result<Repository, Failure> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("iss") != issuer {
        return Err(Failure::new(format!("the token is by `{}`, not by `{issuer}`", text("iss")))
            .help("name the issuer with `--issuer URL`, where it is that one that your broker takes"));
    }
    let number = |name: &str| text(name).parse().unwrap_or(0);
    Repository::told(
        asked,
        text("repository").to_owned(),
        number("repository_id"),
        number("repository_owner_id"),
        "the token",
    )
}

fn text(options: &FromGithub, repository: &Repository) -> String {
    let Repository { name, id, owner_id } = repository;
    let mut tags = vec![("repository_id", id.to_string()), ("owner_id", owner_id.to_string())];
    tags.extend(options.environment.iter().map(|environment| ("environment", environment.clone())));
    tags.extend(options.reference.iter().map(|reference| ("ref", reference.clone())));
    let mut conditions = vec![format!("principal.issuer == {}", quoted(&options.issuer))];
    for (tag, value) in tags {
        conditions
            .push(format!("principal.hasTag(\"ci.{tag}\") && principal.getTag(\"ci.{tag}\") == {}", quoted(&value)));
    }
    let role = options.role.as_deref().map_or_else(String::new, |role| format!("@role({})\n", quoted(role)));
    let mut text = String::new();
    let _ = write!(
        text,
        "// Jobs of {name}: repository {id} of owner {owner_id}. A name that is given up goes to whoever takes it next, a number to\n\
         // nobody; environment and branch are names, but of the repository's own.\n\
         @id({})\n@ttl(\"{}\")\n{role}permit (\n    principal is Writ::Workload,\n    action in Writ::Action::\"use\",\n    \
         resource == Writ::Target::{}\n)\nwhen {{\n    {}\n}};\n",
        quoted(&id_of(options, repository)),
        options.ttl,
        quoted(options.target.as_str()),
        conditions.join(" &&\n    "),
    );
    text
}

/// An id that says what the policy is for.
fn id_of(options: &FromGithub, repository: &Repository) -> String {
    let place = options.environment.as_deref().or(options.reference.as_deref()).unwrap_or_default();
    let words = format!("{}-{place}-{}", repository.name, options.target);
    let mut id = "github".to_owned();
    for word in words.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        id.push('-');
        id.push_str(&word.to_ascii_lowercase());
    }
    // Longer ones are refused by the policy set; the numbers tell it from others.
    if id.len() > 100 { format!("github-{}-{}", repository.id, options.target) } else { id }
}

/// Nothing is printed that the broker would not take.
fn sound(text: &str) -> Result<(), Failure> {
    let problems = crate::compose::config::policy_problems(&[("github.cedar".to_owned(), text.to_owned())]);
    let Some(problem) = problems.first() else { return Ok(()) };
    Err(Failure::new(format!("no policy can be written of this: {problem}"))
        .help("is the environment, role or branch as GitHub has it?"))
}

#[cfg(test)]
mod tests;
