//! Which source is this workload's, and a token from it.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::fault::Fault;
use crate::source::Source;
use crate::sources::{
    Look, aws, azure, bitbucket, buildkite, circleci, file, gcp, github, gitlab, kubernetes, spiffe, terraform,
};
use crate::token::{Audience, Claims, Token};
use crate::{machine, program};

/// A source that was found, or named.
#[derive(Debug)]
pub struct Found {
    way: Way,
    environment: Environment,
    how: String,
}

/// Why no source was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Undetected {
    /// A source is this workload's and gives no token until something is changed.
    Cannot(Fault),
    /// There is none; why each is not.
    Nothing(Fault),
}

/// How the token is got.
enum Way {
    Source(Source),
    File(PathBuf),
    Program(String, Vec<String>),
    Held(Zeroizing<String>),
    Issuer(String, Zeroizing<String>),
}

impl core::fmt::Debug for Way {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Source(source) => source.name(),
            Self::File(_) => "file",
            Self::Program(..) => "command",
            Self::Held(_) => "stdin",
            Self::Issuer(..) => "dev",
        })
    }
}

impl Found {
    /// Looks at every source in its order and gives the first that is this workload's. The network is asked last, and only
    /// where the machine may be a cloud's.
    ///
    /// # Errors
    /// Where a source is this workload's and gives no token, why, and what to change: what comes after it is the machine's own
    /// and not looked at. Where there is none, why each is not.
    pub async fn detect(environment: Environment) -> Result<Self, Undetected> {
        let mut passed = Vec::new();
        for source in Source::ALL {
            match look(source, &environment) {
                Look::Serves(how) => return Ok(Self { way: Way::Source(source), environment, how }),
                Look::Elsewhere(why) => passed.push(format!("{source}: {why}")),
                Look::Cannot(fault) => {
                    let help = fault.remedy().unwrap_or_default();
                    let help =
                        format!("{help}; or name another source with --from: the machine's own is not taken by itself");
                    return Err(Undetected::Cannot(Fault::new(format!("{source}: {fault}")).help(help)));
                }
            }
        }
        match machine::detect(&environment).await {
            Ok((source, how)) => Ok(Self { way: Way::Source(source), environment, how }),
            Err(why) => {
                passed.push(format!("the machine: {why}"));
                let nothing = Fault::new("nothing here gives this workload a token").help(passed.join("\n       "));
                Err(Undetected::Nothing(nothing))
            }
        }
    }

    /// This source, whatever else there is.
    #[must_use]
    pub fn named(source: Source, environment: Environment) -> Self {
        Self { way: Way::Source(source), environment, how: "named".to_owned() }
    }

    /// The token in a file, read anew each time.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        let how = format!("`{}`", path.display());
        Self { way: Way::File(path), environment: Environment::of_process(), how }
    }

    /// What a program prints, run anew each time. `{audience}` in an argument is replaced.
    #[must_use]
    pub fn program(program: String, arguments: Vec<String>) -> Self {
        let how = format!("`{program}`");
        Self { way: Way::Program(program, arguments), environment: Environment::of_process(), how }
    }

    /// A token that was given once.
    #[must_use]
    pub fn held(token: Zeroizing<String>) -> Self {
        let how = "standard input".to_owned();
        Self { way: Way::Held(token), environment: Environment::of_process(), how }
    }

    /// The issuer of `writ dev`: it is asked as GitHub's is.
    #[must_use]
    pub fn issuer(url: String, request_token: Zeroizing<String>) -> Self {
        let how = format!("`{url}`");
        Self { way: Way::Issuer(url, request_token), environment: Environment::of_process(), how }
    }

    /// The source's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.way {
            Way::Source(source) => source.name(),
            Way::File(_) => Source::File.name(),
            Way::Program(..) => "command",
            Way::Held(_) => "stdin",
            Way::Issuer(..) => "dev",
        }
    }

    /// Whether it gives another token each time: then no other run has one of this run's.
    #[must_use]
    pub const fn gives_new_tokens(&self) -> bool {
        match &self.way {
            Way::Source(source) => source.gives_new_tokens(),
            Way::Issuer(..) => true,
            Way::File(_) | Way::Program(..) | Way::Held(_) => false,
        }
    }

    /// How it was found.
    #[must_use]
    pub fn how(&self) -> &str {
        &self.how
    }

    /// The variables in which the platform left a token for Writ: a child that is to see none does not get them.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        match &self.way {
            Way::Source(Source::Gitlab) => gitlab::named(&self.environment).into_iter().collect(),
            Way::Source(Source::Circleci) => circleci::VARIABLES.map(str::to_owned).to_vec(),
            Way::Source(Source::Bitbucket) => vec![bitbucket::VARIABLE.to_owned()],
            Way::Source(Source::TerraformCloud) => terraform::VARIABLES.map(str::to_owned).to_vec(),
            _ => Vec::new(),
        }
    }

    /// Gets a token.
    ///
    /// # Errors
    /// What keeps the source from giving one for this audience, and what to do.
    pub async fn token(&self, audience: &Audience) -> Result<Token, Fault> {
        let environment = &self.environment;
        match &self.way {
            Way::File(path) => file::at(path, audience),
            Way::Program(name, arguments) => {
                let filled: Vec<String> =
                    arguments.iter().map(|argument| argument.replace("{audience}", audience.as_str())).collect();
                program::token(environment, name, &filled).await
            }
            Way::Held(token) => Token::new(token, "standard input"),
            Way::Issuer(url, request_token) => github::ask(url, request_token, audience, "the dev issuer").await,
            Way::Source(source) => match source {
                Source::File => file::token(environment, audience),
                Source::GithubActions => github::token(environment, audience).await,
                Source::Gitlab => gitlab::token(environment, audience),
                Source::Buildkite => buildkite::token(environment, audience).await,
                Source::Circleci => circleci::token(environment, audience).await,
                Source::Bitbucket => bitbucket::token(environment, audience),
                Source::TerraformCloud => terraform::token(environment, audience),
                Source::Kubernetes => kubernetes::token(environment, audience),
                Source::Spiffe => spiffe::token(environment, audience).await,
                Source::Aws => aws::token(environment, audience).await,
                Source::Gcp => gcp::token(environment, audience).await,
                Source::Azure => azure::token(environment, audience).await,
            },
        }
    }
}

fn look(source: Source, environment: &Environment) -> Look {
    match source {
        Source::File => file::look(environment),
        Source::GithubActions => github::look(environment),
        Source::Gitlab => gitlab::look(environment),
        Source::Buildkite => buildkite::look(environment),
        Source::Circleci => circleci::look(environment),
        Source::Bitbucket => bitbucket::look(environment),
        Source::TerraformCloud => terraform::look(environment),
        Source::Kubernetes => kubernetes::look(environment),
        Source::Spiffe => spiffe::look(environment),
        Source::Aws => aws::look(environment),
        Source::Gcp => gcp::look(environment),
        Source::Azure => azure::look(environment),
    }
}

/// The broker's preset that such a token fits, by what it claims; `None` where only a configured issuer tells.
#[must_use]
pub fn preset_of(claims: &Claims) -> Option<&'static str> {
    let subject = claims.text("sub").unwrap_or_default();
    if subject.starts_with("spiffe://") {
        return Some(Source::Spiffe.name());
    }
    let all = claims.all();
    if all.contains_key("kubernetes.io") {
        return Some(Source::Kubernetes.name());
    }
    let issuer = claims.text("iss")?.strip_prefix("https://")?;
    let host = issuer.split('/').next().unwrap_or_default();
    let source = match host {
        "agent.buildkite.com" => Source::Buildkite,
        "oidc.circleci.com" => Source::Circleci,
        "api.bitbucket.org" => Source::Bitbucket,
        "app.terraform.io" => Source::TerraformCloud,
        "accounts.google.com" => Source::Gcp,
        "sts.windows.net" | "login.microsoftonline.com" => Source::Azure,
        _ if host.ends_with(".tokens.sts.global.api.aws") => Source::Aws,
        _ if host.starts_with("token.actions.") || all.contains_key("job_workflow_ref") => Source::GithubActions,
        _ if all.contains_key("project_path") && all.contains_key("pipeline_id") => Source::Gitlab,
        _ => return None,
    };
    Some(source.name())
}
