//! The requests.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::account::{Account, Repository, Token};
use super::answer::Answer;
use super::{Shared, Trouble, jwt, permissions};
use crate::clock::iso;

/// Versions of the API that are answered.
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];
/// The most repositories of a request.
const MOST: usize = 500;

/// One request.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    pub(super) header: &'a dyn Fn(&str) -> Option<&'a str>,
}

impl<'a> Call<'a> {
    fn header(&self, name: &str) -> Option<&'a str> {
        (self.header)(name)
    }

    /// What it shows: `Bearer X` or `token X`, whatever the case.
    fn shown(&self) -> Option<&'a str> {
        let (scheme, shown) = self.header("authorization")?.split_once(' ')?;
        ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str()).then_some(shown)
    }
}

pub(super) fn answer(shared: &Shared, call: &Call<'_>) -> Answer {
    if call.header("user-agent").is_none_or(str::is_empty) {
        return Answer::error(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
        );
    }
    if let Some(version) = call.header("x-github-api-version").filter(|version| !VERSIONS.contains(version)) {
        return Answer::error(400, &format!("\"{version}\" is not a supported version"));
    }
    let accepted = |accept: &str| accept.starts_with("application/vnd.github") && accept.ends_with("+json");
    if !call.header("accept").is_some_and(accepted) {
        return Answer::error(415, "Must accept 'application/json'");
    }
    match shared.trouble() {
        Some(Trouble::Throttled) => {
            let words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
            return Answer::error(403, words).with("retry-after", 60);
        }
        Some(Trouble::UsedUp) => {
            let reset = shared.clock.now() + 900;
            let answer = Answer::error(429, "API rate limit exceeded for installation ID 1.");
            return answer.with("x-ratelimit-remaining", 0).with("x-ratelimit-reset", reset);
        }
        Some(Trouble::ServerError) => return Answer::error(502, "Server Error"),
        _ => {}
    }
    routed(shared, call).unwrap_or_else(|refused| refused)
}

fn routed(shared: &Shared, call: &Call<'_>) -> Result<Answer, Answer> {
    let parts: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    match (call.method, parts.as_slice()) {
        ("GET", ["app"]) => {
            as_app(shared, call)?;
            let account = shared.account();
            Ok(Answer::new(
                200,
                json!({ "id": account.app.id, "client_id": account.app.client_id, "slug": "writ-test" }),
            ))
        }
        ("GET", ["app", "installations", id]) => {
            as_app(shared, call)?;
            installation(shared, id)
        }
        ("POST", ["app", "installations", id, "access_tokens"]) => {
            as_app(shared, call)?;
            access_token(shared, id, call)
        }
        ("GET", ["installation", "repositories"]) => {
            let token = as_installation(shared, call)?;
            if !["", "per_page=100"].contains(&call.query) {
                return Err(Answer::error(422, "the query has other parameters than `per_page`"));
            }
            let account = shared.account();
            let all: Vec<Value> = token.repositories.iter().map(|one| repository(&account, one)).collect();
            let selection = if token.selected { "selected" } else { "all" };
            let body = json!({ "total_count": all.len(), "repositories": all, "repository_selection": selection });
            Ok(Answer::new(200, body))
        }
        ("DELETE", ["installation", "token"]) => {
            let token = as_installation(shared, call)?;
            if shared.trouble() == Some(Trouble::MorePermissionsKept) {
                return Err(Answer::error(502, "Server Error"));
            }
            shared.account().tokens.retain(|known| known.hashed != token.hashed);
            Ok(Answer::none())
        }
        _ => Err(Answer::not_found()),
    }
}

fn as_app(shared: &Shared, call: &Call<'_>) -> Result<(), Answer> {
    let shown = call.shown().ok_or_else(|| Answer::error(401, "Requires authentication"))?;
    match shared.trouble() {
        Some(Trouble::Untrusted) => return Err(Answer::error(401, "A JSON web token could not be decoded")),
        Some(Trouble::WrongApp) => return Err(Answer::error(404, "Integration not found")),
        Some(Trouble::ExpiredAssertion) => {
            let words = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which \
                         the assertion expires";
            return Err(Answer::error(401, words));
        }
        _ => {}
    }
    let mut account = shared.account();
    jwt::check(shown, &account.app, shared.clock.now())?;
    account.jwts.insert(digest(&SHA256, shown.as_bytes()).as_ref().to_vec());
    Ok(())
}

fn as_installation(shared: &Shared, call: &Call<'_>) -> Result<Token, Answer> {
    let shown = call.shown().ok_or_else(|| Answer::error(401, "Requires authentication"))?;
    let account = shared.account();
    let found = account.living(shared.clock.now()).find(|token| token.value == shown).cloned();
    found.ok_or_else(Answer::bad_credentials)
}

fn installation(shared: &Shared, id: &str) -> Result<Answer, Answer> {
    let account = shared.account();
    let known = &account.installation;
    if id != known.id.to_string() {
        return Err(Answer::not_found());
    }
    let suspended = (shared.trouble() == Some(Trouble::Suspended)).then(|| iso(shared.clock.now()));
    Ok(Answer::new(
        200,
        json!({
            "id": known.id, "app_id": account.app.id, "account": { "login": known.owner }, "suspended_at": suspended,
            "permissions": known.permissions, "repository_selection": "selected", "target_type": "Organization",
        }),
    ))
}

fn access_token(shared: &Shared, id: &str, call: &Call<'_>) -> Result<Answer, Answer> {
    let (now, trouble) = (shared.clock.now(), shared.trouble());
    let mut account = shared.account();
    if id != account.installation.id.to_string() {
        return Err(Answer::not_found());
    }
    if trouble == Some(Trouble::Suspended) {
        return Err(Answer::error(403, "This installation has been suspended"));
    }
    let asked = if call.body.is_empty() { Map::new() } else { object(call.body)? };
    if let Some(name) =
        asked.keys().find(|name| !["repositories", "repository_ids", "permissions"].contains(&name.as_str()))
    {
        return Err(invalid(&format!("No subschema has the field `{name}`.")));
    }
    let (mut repositories, mut selected) = repositories(&account, &asked)?;
    let mut granted = granted(&account, &asked)?;
    match trouble {
        Some(Trouble::MorePermissions | Trouble::MorePermissionsKept) => {
            drop(granted.insert("administration".to_owned(), "write".to_owned()))
        }
        Some(Trouble::MoreRepositories) => {
            let chosen: BTreeSet<u64> = repositories.iter().map(|one| one.id).collect();
            repositories
                .extend(account.installation.repositories.iter().find(|one| !chosen.contains(&one.id)).cloned());
        }
        Some(Trouble::AllRepositories) => selected = false,
        _ => {}
    }
    let token = account.give(repositories, selected, granted, now);
    let token = token.map_err(|why| Answer::error(500, &why))?;
    let ends = if trouble == Some(Trouble::FarExpiry) { token.ends + 315_360_000 } else { token.ends };
    let mut body = json!({
        "token": token.value, "expires_at": iso(ends), "permissions": token.permissions,
        "repository_selection": if token.selected { "selected" } else { "all" },
    });
    if token.selected {
        let repositories: Value = token.repositories.iter().map(|one| repository(&account, one)).collect();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("repositories".to_owned(), repositories);
        }
    }
    Ok(Answer::new(201, body))
}

/// The repositories of a request: those of the installation where it names none.
fn repositories(account: &Account, asked: &Map<String, Value>) -> Result<(Vec<Repository>, bool), Answer> {
    let unknown = || {
        let words =
            "There is at least one repository that does not exist or is not accessible to the parent installation.";
        Answer::error(422, words)
    };
    let all = &account.installation.repositories;
    let (names, ids) = (asked.get("repositories"), asked.get("repository_ids"));
    let (Some(list), by_name) = (names.or(ids), names.is_some()) else { return Ok((all.clone(), false)) };
    if names.is_some() && ids.is_some() {
        return Err(invalid("`repositories` and `repository_ids` are both given."));
    }
    let list = list.as_array().filter(|list| !list.is_empty() && list.len() <= MOST);
    let list = list.ok_or_else(|| invalid("a list of 1 to 500 repositories is needed."))?;
    let find = |wanted: &Value| match (by_name, wanted) {
        (true, Value::String(name)) => all.iter().find(|one| one.name.eq_ignore_ascii_case(name)).ok_or_else(unknown),
        (false, Value::Number(id)) => all.iter().find(|one| Some(one.id) == id.as_u64()).ok_or_else(unknown),
        _ => Err(invalid("a repository is named by text, or by number.")),
    };
    let found: Vec<Repository> = list.iter().map(|wanted| find(wanted).cloned()).collect::<Result<_, _>>()?;
    Ok((found, true))
}

/// The permissions of a request: those of the installation where it names none. `metadata` comes with every other.
fn granted(account: &Account, asked: &Map<String, Value>) -> Result<BTreeMap<String, String>, Answer> {
    let has = &account.installation.permissions;
    let Some(asked) = asked.get("permissions") else { return Ok(has.clone()) };
    let asked = asked.as_object().filter(|asked| !asked.is_empty());
    let asked = asked.ok_or_else(|| invalid("`permissions` names at least one."))?;
    let mut granted = BTreeMap::from([("metadata".to_owned(), "read".to_owned())]);
    for (name, level) in asked {
        let level = level.as_str().filter(|level| permissions::is_known(name, level));
        let level = level.ok_or_else(|| invalid(&format!("`{name}` is no permission with such a level.")))?;
        if !has.get(name).is_some_and(|has| permissions::covers(has, level)) {
            return Err(Answer::error(422, "The permissions requested are not granted to this installation."));
        }
        granted.insert(name.clone(), level.to_owned());
    }
    Ok(granted)
}

fn repository(account: &Account, one: &Repository) -> Value {
    let owner = &account.installation.owner;
    json!({
        "id": one.id, "name": one.name, "full_name": format!("{owner}/{}", one.name), "private": true,
        "owner": { "login": owner },
    })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Answer> {
    serde_json::from_slice(body).map_err(|_| Answer::error(400, "Problems parsing JSON"))
}

fn invalid(why: &str) -> Answer {
    Answer::error(422, &format!("Invalid request.\n\n{why}"))
}
