//! A fake of the part of GitHub's REST API that Apps get their tokens from, strict, after its published description
//! (`api.github.com`, version 2022-11-28).
//!
//! | request | shown | answer |
//! |---|---|---|
//! | `GET /app` | the App's JWT | the App |
//! | `GET /app/installations/{id}` | the same | the installation, with what it grants |
//! | `POST /app/installations/{id}/access_tokens` | the same | 201 with a token, narrowed as asked |
//! | `GET /installation/repositories` | a token | the repositories that it is for |
//! | `DELETE /installation/token` | the same | 204, and the token is gone |
//!
//! The App's keys are real ones, of RSA; the JWT's signature, `iat`, `exp` and `iss` are checked as GitHub's documentation says.
//! Permissions are those of the description's `app-permissions`, each with the levels that it has there. Errors have GitHub's shape
//! (`message`, `documentation_url`, `status`) and words, limits GitHub's headers.
//!
//! # Where it is stricter than GitHub
//! No leeway for clocks. Fields of a body that the description does not have are refused, as are empty lists, which GitHub takes for
//! everything, and names with an owner. A JWT has `iat`, `exp` and `iss`, and no other claim. A version of the API that is not
//! known is refused; GitHub refuses it too.
//!
//! # Where it knows less
//! One account, one App. Tokens of the old format alone unless told otherwise. No conditional requests, no pages, no GraphQL, no git.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;

use crate::background::{Background, listen, serve};
use crate::clock::{Clock, http};

mod account;
mod answer;
mod api;
mod jwt;
mod permissions;

use account::Account;
pub use account::{App, Installation, Repository};
use answer::Answer;

/// What may go wrong, switched on while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It knows none of the App's keys.
    Untrusted,
    /// Every JWT has expired.
    ExpiredAssertion,
    /// The App is another's.
    WrongApp,
    /// 403, with how long to wait: too much at once.
    Throttled,
    /// 429: the hour's requests are used up.
    UsedUp,
    /// 502.
    ServerError,
    /// The answer ends in its middle. What was asked is done.
    CutShort,
    /// The answer says that the token ends in ten years.
    FarExpiry,
    /// The clock is ten minutes ahead.
    ClockAhead,
    /// The clock is ten minutes behind.
    ClockBehind,
    /// The token can do more than was asked.
    MorePermissions,
    /// The token can do more than was asked, and it takes none back: 502.
    MorePermissionsKept,
    /// The token is for one repository more.
    MoreRepositories,
    /// The token is for all repositories.
    AllRepositories,
    /// The installation is suspended.
    Suspended,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `POST /app/installations/1/access_tokens`.
    pub what: String,
    /// Its headers, by name, but for what it shows.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

struct Shared {
    account: Mutex<Account>,
    clock: Clock,
    trouble: Mutex<Option<Trouble>>,
    seen: Mutex<Vec<Seen>>,
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> Option<Trouble> {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running fake. It ends when it is dropped.
pub struct Github {
    shared: Arc<Shared>,
    url: String,
    _background: Background,
}

impl core::fmt::Debug for Github {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Github").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Github {
    /// Starts it over plain HTTP on loopback, with one App and its installation.
    ///
    /// # Errors
    /// If no port or no key can be had.
    pub fn start(app: App, installation: Installation) -> Result<Self, String> {
        let background = Background::start()?;
        let (listener, address) = background.run(listen())?;
        let shared = Arc::new(Shared {
            account: Mutex::new(Account::new(app, installation)),
            clock: Clock::default(),
            trouble: Mutex::default(),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        background.spawn(serve(listener, None, router));
        Ok(Self { shared, url: format!("http://{address}"), _background: background })
    }

    /// The API's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gets it into trouble, or out of it.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.shared.clock.set_ahead(match trouble {
            Some(Trouble::ClockAhead) => 600,
            Some(Trouble::ClockBehind) => -600,
            _ => 0,
        });
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Changes the App's key; the one before is no longer known.
    pub fn rekey(&self, app: App) {
        self.shared.account().rekey(app);
    }

    /// Gives tokens of the format that carries its own facts, which are longer.
    pub fn give_long_tokens(&self) {
        self.shared.account().long = true;
    }

    /// Whether the token whose `hashed_token` this is lives.
    #[must_use]
    pub fn knows(&self, hashed: &str) -> bool {
        self.shared.account().living(self.shared.clock.now()).any(|token| token.hashed == hashed)
    }

    /// How many tokens live.
    #[must_use]
    pub fn living(&self) -> usize {
        self.shared.account().living(self.shared.clock.now()).count()
    }

    /// When the token whose `hashed_token` this is ends, in seconds since 1970.
    #[must_use]
    pub fn end_of(&self, hashed: &str) -> Option<i64> {
        self.shared
            .account()
            .living(self.shared.clock.now())
            .find(|token| token.hashed == hashed)
            .map(|token| token.ends)
    }

    /// What the token whose `hashed_token` this is may do.
    #[must_use]
    pub fn permissions_of(&self, hashed: &str) -> Option<BTreeMap<String, String>> {
        let account = self.shared.account();
        account
            .living(self.shared.clock.now())
            .find(|token| token.hashed == hashed)
            .map(|token| token.permissions.clone())
    }

    /// How many JWTs were taken so far.
    #[must_use]
    pub fn jwts(&self) -> usize {
        self.shared.account().jwts.len()
    }

    /// The requests that came, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1024 * 1024).await.unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let what = format!("{} {}", head.method, head.uri);
    let headers = head.headers.iter().filter(|(name, _)| name.as_str() != "authorization");
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    let seen = Seen { what, headers: headers.collect(), body: String::from_utf8_lossy(&body).into_owned() };
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let call = api::Call { method: head.method.as_str(), path, query, body: &body, header: &header };
    respond(api::answer(&shared, &call), shared.clock.now(), shared.trouble())
}

fn respond(answer: Answer, now: i64, trouble: Option<Trouble>) -> Response {
    let mut builder = Response::builder().status(answer.status).header("date", http(now));
    builder = builder.header("x-github-media-type", "github.v3; format=json");
    for (name, value) in &answer.headers {
        builder = builder.header(*name, value);
    }
    let text = answer.body.map(|body| body.to_string()).unwrap_or_default();
    if !text.is_empty() {
        builder = builder.header("content-type", "application/json; charset=utf-8");
    }
    // Half of it, and the whole's length.
    let cut = trouble == Some(Trouble::CutShort) && answer.status == 201;
    let sent = if cut { text.get(..text.len() / 2).unwrap_or_default().to_owned() } else { text };
    builder.body(Body::from(sent)).unwrap_or_default()
}
