//! The credentials of this workload's role: from variables, a projected token, its container's endpoint, or the machine.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::net::IpAddr;

use aws_credential_types::Credentials;
use reqwest::{Client, Url};
use zeroize::Zeroizing;

use super::super::file;
use super::sts;
use crate::environment::Environment;
use crate::fault::Fault;
use crate::http::{self, Answer, Http};

const MACHINE: &str = "EC2's metadata server";
const CONTAINER: &str = "the container's credentials endpoint";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const SESSION: &str = "x-aws-ec2-metadata-token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Where containers get credentials without TLS: ECS, and EKS Pod Identity by either protocol.
const NEAR: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Credentials as ECS, EKS and EC2 write them.
fn given(answer: &Answer, who: &str) -> Result<Credentials, Fault> {
    let text = |name| answer.member(who, name);
    Ok(held(&text("AccessKeyId")?, &text("SecretAccessKey")?, Some(&text("Token")?)))
}

pub(super) fn held(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, secret, token.map(str::to_owned), None, "writ")
}

/// The credentials, by the first of the ways that the environment shows.
pub(super) async fn find(environment: &Environment, http: &Http, region: &str) -> Result<Credentials, Fault> {
    let variable = |name| environment.variable(name);
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        return Ok(held(&id, &secret, variable("AWS_SESSION_TOKEN").as_ref().map(|token| token.as_str())));
    }
    if let (Some(path), Some(role)) = (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN")) {
        let token = file::read(path.as_str().as_ref())?;
        return sts::assume(environment, &token, &role, region).await;
    }
    if let Some(path) = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        // Without the slash it would go on with the host.
        let path = Some(path).filter(|path| path.starts_with('/'));
        let url = path.and_then(|path| Url::parse(&format!("{}{}", environment.places().ecs, path.as_str())).ok());
        let url = url.ok_or_else(|| Fault::new("`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is no path"))?;
        return container(environment, http, url).await;
    }
    if let Some(url) = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        return container(environment, http, near(&url)?).await;
    }
    machine(environment, http).await
}

/// The region whose STS is asked.
pub(super) async fn region(environment: &Environment, http: &Http) -> Result<String, Fault> {
    let named = environment.variable("AWS_REGION").or_else(|| environment.variable("AWS_DEFAULT_REGION"));
    let region = match named {
        Some(region) => region,
        None => of_machine(environment, http).await.map_err(|fault| {
            Fault::new(format!("no variable names a region, and {fault}")).help("set `AWS_REGION`: STS is asked there")
        })?,
    };
    // It becomes a part of a host's name.
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || region.len() > 40 || !region.bytes().all(plain) {
        return Err(Fault::new("`AWS_REGION` is no region").help("write it as `eu-west-1`"));
    }
    Ok(region.as_str().to_owned())
}

async fn of_machine(environment: &Environment, http: &Http) -> Result<Zeroizing<String>, Fault> {
    let base = &environment.places().ec2;
    let session = session(base, http).await?;
    let url = format!("{base}/latest/meta-data/placement/region");
    let answer = http.ask(MACHINE, |client| client.get(&url).header(SESSION, session.as_str())).await?;
    Ok(Zeroizing::new(answer.text(MACHINE)?.trim().to_owned()))
}

/// A URL that credentials may be asked of: over TLS, on this machine, or one of the platform's own addresses.
fn near(text: &str) -> Result<Url, Fault> {
    const WHAT: &str = "`AWS_CONTAINER_CREDENTIALS_FULL_URI`";
    let url = Url::parse(text).map_err(|_| Fault::new(format!("{WHAT} is no URL")))?;
    let known = |address: IpAddr| NEAR.iter().any(|near| near.parse() == Ok(address));
    if url.scheme() == "http" && http::address(&url).is_some_and(known) { Ok(url) } else { http::safe(text, WHAT) }
}

async fn container(environment: &Environment, http: &Http, url: Url) -> Result<Credentials, Fault> {
    let authorization = match environment.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(Zeroizing::new(file::read(path.as_str().as_ref())?.expose().to_owned())),
        None => environment.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let ask = |client: &Client| match &authorization {
        Some(token) => client.get(url.clone()).header("authorization", token.as_str()),
        None => client.get(url.clone()),
    };
    given(&http.ask(CONTAINER, ask).await?, CONTAINER)
}

/// Whether EC2's metadata server is there, in its second version: the first, which any confused client can be made to ask, is
/// never used.
pub(crate) async fn answers(environment: &Environment, http: &Http) -> bool {
    session(&environment.places().ec2, http).await.is_ok()
}

async fn session(base: &str, http: &Http) -> Result<Zeroizing<String>, Fault> {
    let url = format!("{base}/latest/api/token");
    let answer = http.once(MACHINE, |client| client.put(&url).header(TTL, "300")).await?;
    let text = answer.text(MACHINE)?.trim();
    if text.is_empty() || text.len() > 512 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::new(format!("{MACHINE} gave no session")));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

async fn machine(environment: &Environment, http: &Http) -> Result<Credentials, Fault> {
    let base = &environment.places().ec2;
    let session = session(base, http).await.map_err(|fault| {
        Fault::new(format!("no variable gives credentials of AWS, and {fault}"))
            .help("in a container the instance's metadata needs a hop limit of 2; better, give the container a role of its own")
    })?;
    let roles = format!("{base}{ROLES}");
    let answer = http.ask(MACHINE, |client| client.get(&roles).header(SESSION, session.as_str())).await?;
    let none = || Fault::new("this machine has no role").help("attach an instance profile to it");
    if answer.status.as_u16() == 404 {
        return Err(none());
    }
    let role = answer.text(MACHINE)?.lines().next().map(str::trim).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if role.is_empty() || role.len() > 128 || !role.bytes().all(plain) {
        return Err(none());
    }
    let url = format!("{roles}{role}");
    let answer = http.ask(MACHINE, |client| client.get(&url).header(SESSION, session.as_str())).await?;
    given(&answer, MACHINE)
}
