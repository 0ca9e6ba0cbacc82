//! How RDS takes login tokens, in front of a real PostgreSQL, named a fake.
//!
//! # What is real and what is not
//! The server is Debian's PostgreSQL; RDS itself is in no registry. RDS asks for the token as a cleartext password over TLS and has a
//! PAM module check it. Two things stand in for that module here, with the same rules:
//!
//! * [`Rds`], this module: a TLS front that speaks PostgreSQL's start-up, asks for the cleartext password, checks the token, and then
//!   relays everything to the real server as that user. It works for every user of the machine, and takes any clock.
//! * `tests/fakes/pam`: a PAM module of our own ([`pam`]), built by `tests/world/scripts/build-pam`; a second implementation of the
//!   rules, in another language, that the front is compared with. Only root may add a service to `/etc/pam.d`, so that only root's
//!   tests run it in the real server; everybody's run it in libpam, which takes services from another directory if asked.
//!
//! # What was found about long tokens
//! PostgreSQL 15 reads a password message of up to 65535 bytes where the authentication is PAM (`PG_MAX_AUTH_TOKEN_LENGTH`), and its
//! own conversation function copies it whole. `PAM_MAX_RESP_SIZE` (512) binds `misc_conv`, which programs with a terminal use, and
//! modules that check it themselves (`pam_unix` does); neither PostgreSQL's conversation nor `pam_get_authtok` does. A token of
//! almost 8 KiB arrives whole at the module and opens a session of the real server, as a test shows.
//!
//! # Rules
//! `HOST:PORT/?Action=connect&DBUser=...&X-Amz-...`: each parameter once and none unknown; host and port those of the endpoint; the
//! user that of the connection, to the letter; SigV4 for `rds-db` in the endpoint's region, `host` alone signed; a date not in the
//! future by more than 15 minutes; at most 900 s of life; the session token the key's own and the session alive; and `rds-db:connect`
//! allowed on `arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/USER`. Tokens longer than 8 KiB are refused, which RDS does not say.
//! Users without the role `rds_iam` cannot log in here, nor can anybody without TLS or for replication.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>

use std::sync::{Arc, Mutex};

use writ_world::postgres::Cluster;

use crate::background::{Background, acceptor, listen};
use crate::certificates::Certificate;
use crate::clock::Clock;
use crate::sigv4::Keys;
use crate::sts::Front;

pub(crate) mod backend;
pub(crate) mod front;
pub mod pam;
mod token;

/// Who says whose key signs, and whether that one may connect.
pub trait Authority: Send + Sync {
    /// The key, if it lives and its holder may do `rds-db:connect` on the resource; else why not.
    ///
    /// # Errors
    /// Why not, in words for the log.
    fn admit(&self, access_key: &str, resource: &str) -> Result<Keys, String>;
}

/// Keys that may connect to everything.
#[derive(Debug)]
pub struct Anyone(pub Vec<Keys>);

impl Authority for Anyone {
    fn admit(&self, access_key: &str, _resource: &str) -> Result<Keys, String> {
        let found = self.0.iter().find(|keys| keys.access_key == access_key);
        found.cloned().ok_or_else(|| "an access key that is not known".to_owned())
    }
}

/// The keys that a front of STS gave out, with its policies and clock.
pub struct BySts(Arc<crate::sts::Cloud>);

impl BySts {
    /// Those of this front.
    #[must_use]
    pub fn of(front: &Front) -> Self {
        Self(front.cloud())
    }
}

impl Authority for BySts {
    fn admit(&self, access_key: &str, resource: &str) -> Result<Keys, String> {
        self.0.admit(access_key, "rds-db:connect", resource).map_err(|refusal| refusal.message)
    }
}

/// An instance, as its endpoint's name and its policies see it.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The endpoint's host name, which tokens and the certificate carry: `orders.abc123.eu-central-1.rds.amazonaws.com`. It
    /// listens on loopback.
    pub host: String,
    /// `eu-central-1`.
    pub region: String,
    /// `db-ABCDEFGHIJKL01234`.
    pub resource: String,
}

/// RDS's own rules.
struct Tokens {
    instance: Instance,
    port: u16,
    authority: Arc<dyn Authority>,
    clock: Arc<Clock>,
}

impl front::Rules for Tokens {
    fn admit(&self, user: &str, token: &str) -> Result<(), String> {
        let login = token::Login { instance: &self.instance, port: self.port, user, now: self.clock.now() };
        token::verify(token, &login, self.authority.as_ref())
    }

    fn refusal(&self, user: &str) -> String {
        format!("PAM authentication failed for user \"{user}\"")
    }
}

/// The front. It ends when it is dropped; the server behind it is the caller's.
pub struct Rds {
    door: Arc<front::Door>,
    instance: Instance,
    port: u16,
    clock: Arc<Clock>,
    ca_pem: String,
    _background: Background,
}

impl std::fmt::Debug for Rds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rds").field("instance", &self.instance).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Rds {
    /// Starts before a server, where it makes the role `rds_iam` if there is none.
    ///
    /// # Errors
    /// If there is no port, or the server does not answer.
    pub fn start(cluster: &Cluster, instance: Instance, authority: Arc<dyn Authority>) -> Result<Self, String> {
        let background = Background::start()?;
        let certificate = Certificate::make(&[&instance.host])?;
        let tls = acceptor(&certificate)?;
        let backend = backend::Backend::new(cluster.port(), cluster.password(), "rds_iam");
        let ready = backend.clone();
        background.run(async move { ready.prepare().await })?;
        let (listener, address) = background.run(listen())?;
        let (port, clock) = (address.port(), Arc::new(Clock::default()));
        let rules = Tokens { instance: instance.clone(), port, authority, clock: Arc::clone(&clock) };
        let door = Arc::new(front::Door { rules: Box::new(rules), refusals: Mutex::default(), tls, backend });
        background.spawn(front::serve(listener, Arc::clone(&door)));
        Ok(Self { door, instance, port, clock, ca_pem: certificate.authority, _background: background })
    }

    /// The endpoint's port, which listens on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The authority that vouches for its certificate, which is for the endpoint's name, `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Sets its clock so many seconds ahead of the machine's.
    pub fn clock_ahead(&self, seconds: i64) {
        self.clock.set_ahead(seconds);
    }

    /// Why logins were refused, oldest first: what RDS writes to its log of IAM authentication, and never tells the client.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.door.refusals()
    }
}
