//! How Cloud SQL takes access tokens for logins to PostgreSQL, in front of a real PostgreSQL.
//!
//! The server is real; the TLS front is [`crate::rds`]'s, with Cloud SQL's rules: the user is a service account's address without
//! `.gserviceaccount.com`, it has the role `cloudsqliamserviceaccount` in the server, and the password is an access token of that very
//! account, alive, of the scope `sqlservice.login` (or `cloud-platform`), whose account has `roles/cloudsql.instanceUser`.
//!
//! Stricter than Cloud SQL: tokens of wider scopes than those two are refused, and those behind a boundary.
//!
//! <https://cloud.google.com/sql/docs/postgres/iam-logins>

use std::sync::{Arc, Mutex};

use writ_world::postgres::Cluster;

use super::project::Kind;
use super::{Cloud, Gcp};
use crate::background::{Background, acceptor, listen};
use crate::certificates::Certificate;
use crate::rds::backend::Backend;
use crate::rds::front::{self, Door, Rules};

const LOGIN: &str = "https://www.googleapis.com/auth/sqlservice.login";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

struct Tokens(Arc<Cloud>);

impl Rules for Tokens {
    fn admit(&self, user: &str, token: &str) -> Result<(), String> {
        let now = self.0.clock.now();
        let project = self.0.project();
        let issued = project.tokens.get(token).ok_or("a token that Google did not give")?;
        if issued.expires <= now {
            return Err("a token that has ended".to_owned());
        }
        if issued.kind != Kind::Access {
            return Err("a token of no service account's own".to_owned());
        }
        if issued.principal != format!("{user}.gserviceaccount.com") {
            return Err("a token of another account".to_owned());
        }
        if issued.scopes != [LOGIN] && issued.scopes != [PLATFORM] {
            return Err("a token of other scopes".to_owned());
        }
        if !project.has_role(&issued.principal, "roles/cloudsql.instanceUser") {
            return Err("the account may not log in: no cloudsql.instances.login".to_owned());
        }
        Ok(())
    }

    fn refusal(&self, user: &str) -> String {
        format!("Cloud SQL IAM service account authentication failed for user \"{user}\"")
    }
}

/// The front. It ends when it is dropped; the server behind it is the caller's.
pub struct CloudSql {
    door: Arc<Door>,
    port: u16,
    ca_pem: String,
    _background: Background,
}

impl std::fmt::Debug for CloudSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudSql").field("port", &self.port).finish_non_exhaustive()
    }
}

impl CloudSql {
    /// Starts before a server, where it makes the role `cloudsqliamserviceaccount` if there is none.
    ///
    /// # Errors
    /// If there is no port, or the server does not answer.
    pub fn start(cluster: &Cluster, google: &Gcp) -> Result<Self, String> {
        let background = Background::start()?;
        let certificate = Certificate::make(&[])?;
        let tls = acceptor(&certificate)?;
        let backend = Backend::new(cluster.port(), cluster.password(), "cloudsqliamserviceaccount");
        let ready = backend.clone();
        background.run(async move { ready.prepare().await })?;
        let (listener, address) = background.run(listen())?;
        let rules = Box::new(Tokens(google.cloud()));
        let door = Arc::new(Door { rules, refusals: Mutex::default(), tls, backend });
        background.spawn(front::serve(listener, Arc::clone(&door)));
        Ok(Self { door, port: address.port(), ca_pem: certificate.authority, _background: background })
    }

    /// The instance's port, which listens on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The authority that vouches for its certificate, which is for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Why logins were refused, oldest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.door.refusals()
    }
}
