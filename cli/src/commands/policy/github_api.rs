//! GitHub's REST API, asked for the numbers of a repository.
//!
//! <https://docs.github.com/en/rest/repos/repos#get-a-repository>

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::from_github::Repository;
use crate::failure::{Doing as _, Failure};

const TIMEOUT: Duration = Duration::from_secs(20);
/// The most that is read of an answer, in bytes.
const MOST: usize = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    id: u64,
    full_name: String,
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    id: u64,
}

/// Asks for a repository by its name.
///
/// # Errors
/// If the API cannot be asked, does not know it, or answers with another one.
pub(super) async fn ask(api: &str, name: &str, token: Option<&Zeroizing<String>>) -> Result<Repository, Failure> {
    let url = address(api, name)?;
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent("writ")
        .build()
        .doing("the client cannot be set up")?;
    let mut request = client.get(url);
    for (header, value) in [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")] {
        request = request.header(header, value);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token.as_str());
    }
    let response = request.send().await.map_err(reqwest::Error::without_url).doing("GitHub's API cannot be asked")?;
    if response.status() != StatusCode::OK {
        return Err(refused(response.status(), name));
    }
    let body = read(response).await?;
    let answer: Answer = serde_json::from_slice(&body).doing("what GitHub's API answered cannot be read")?;
    Repository::told(name, answer.full_name, answer.id, answer.owner.id, "GitHub's API")
}

/// The address of a repository below the API's, which has to be reached over TLS, or on this machine.
fn address(api: &str, name: &str) -> Result<Url, Failure> {
    let wrong = || {
        Failure::new(format!("`{api}` is no address of an API"))
            .help("write `https://api.github.com`, or `https://ghe.example.org/api/v3`")
    };
    let url = Url::parse(&format!("{}/repos/{name}", api.trim_end_matches('/'))).map_err(|_| wrong())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme() == "https" || url.scheme() == "http" && is_here { Ok(url) } else { Err(wrong()) }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.doing("GitHub's API broke off")? {
        if body.len() + part.len() > MOST {
            return Err(Failure::new(format!("GitHub's API answered with more than {MOST} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn refused(status: StatusCode, name: &str) -> Failure {
    let what = format!("GitHub's API does not tell of `{name}` (status {})", status.as_u16());
    let help = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT | StatusCode::TEMPORARY_REDIRECT => {
            "the repository was renamed: name it as it is called now"
        }
        StatusCode::NOT_FOUND => "is the name right? a repository that not everybody sees needs `--api-token-file`",
        StatusCode::UNAUTHORIZED => "the token in `--api-token-file` is not accepted",
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            "asked too often, or without a right to: wait, or give `--api-token-file`"
        }
        _ => "ask again later, or give the numbers: `--repository-id` and `--owner-id`",
    };
    Failure::new(what).help(help)
}
