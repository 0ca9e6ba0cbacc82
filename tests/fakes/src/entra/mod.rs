//! A fake of Microsoft Entra and of the few services that look at its tokens, strict, over https.
//!
//! | part | what answers |
//! |---|---|
//! | `/{tenant}/oauth2/v2.0/token`: client credentials with a client assertion | this fake |
//! | `/{tenant}/v2.0/.well-known/openid-configuration`, `/{tenant}/discovery/v2.0/keys` | this fake |
//! | Azure Resource Manager: `GET /tenants` | this fake |
//! | Key Vault: get a key, sign; get a secret, set a secret | this fake |
//! | the metadata service of a machine ([`Machine`]), over http | this fake |
//! | Azure Database for PostgreSQL ([`postgres`]) | its login is this fake, the server behind it a real PostgreSQL |
//!
//! An assertion's signature is verified against the keys that its issuer publishes, found by discovery, each time anew. Access
//! tokens are signed (RS256) and have the claims of version 1, or of version 2 for `api://...`; ARM, vaults and databases
//! here verify them against the published keys.
//!
//! # Where it is stricter than Entra
//! Unknown and repeated parameters are refused. Assertions are by RS256 alone (Entra says that others may work), need `kid`, `exp`,
//! `nbf`, `iat`, and one audience as text; no leeway for clocks, where Entra has five minutes; and live for an hour at most. A scope is one resource. Federated
//! credentials count at once, where Entra takes minutes.
//!
//! # Where Entra's own rule is not public
//! The order in which it looks at an assertion: here form, issuer, signature, times, audience, subject. The status of `invalid_client`
//! is 401. A life is random between 60 and 90 minutes; a test may set it.
//!
//! # Not here
//! Secrets and certificates of clients, users, consent, Conditional Access, continuous access evaluation, flexible federated
//! credentials, roles: what a client may do at ARM or in a vault is a list of this fake's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use self::access::Signer;
use crate::background::{Background, acceptor, listen, serve};
use crate::certificates::Certificate;
use crate::clock::Clock;

mod access;
mod arm;
mod assertion;
pub mod azurite;
mod machine;
pub mod postgres;
mod refusal;
mod service;
mod token;
mod vault;

pub use machine::Machine;
pub use refusal::Refusal;

/// The tenant that there is.
pub const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

/// An application with its service principal, or a managed identity, as an admin registers it.
#[derive(Debug, Clone)]
pub struct App {
    /// The client id, a GUID.
    pub client_id: String,
    /// The object id of the service principal, a GUID.
    pub object_id: String,
    /// Whose assertions stand for it.
    pub federated: Vec<Federated>,
}

/// A federated identity credential.
#[derive(Debug, Clone)]
pub struct Federated {
    /// Its name: 3 to 120 letters, digits, `-` and `_`.
    pub name: String,
    /// The issuer, exactly as assertions name it: `https://...`; `http://127.0.0.1...` of a test's own issuer is taken too, which
    /// Entra would not do.
    pub issuer: String,
    /// The subject, to the letter.
    pub subject: String,
    /// The one audience.
    pub audience: String,
    /// The authority that vouches for the issuer's certificate. Entra trusts public authorities.
    pub ca_pem: Option<String>,
    /// Where the issuer's name leads, if not where DNS says.
    pub at: Option<SocketAddr>,
}

/// What may go wrong at Entra, switched on while it runs. ARM and vaults stay sound: they are the test's own eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every federated credential is for another audience.
    WrongAudience,
    /// Every assertion has expired.
    ExpiredAssertion,
    /// No federated credential matches.
    Untrusted,
    /// 429.
    Throttled,
    /// 503 with words that are not JSON.
    ServerError,
    /// The answer ends in its middle.
    CutShort,
    /// The answer says that the token lives for ten years. It does not.
    FarExpiry,
    /// The answer has no token in it.
    NoToken,
    /// The token is one that nobody but its resource could read.
    Opaque,
    /// The token is of another client.
    OthersToken,
    /// The clock is ten minutes ahead.
    ClockAhead,
    /// The clock is ten minutes behind.
    ClockBehind,
    /// No answer.
    Silent,
}

impl Trouble {
    const fn clock(self) -> i64 {
        match self {
            Self::ClockAhead => 600,
            Self::ClockBehind => -600,
            _ => 0,
        }
    }
}

/// A key in a vault, and who may use it.
#[derive(Debug, Clone)]
pub struct VaultKey {
    /// `EC` or `RSA`, or either with `-HSM`.
    pub kind: &'static str,
    /// What may be done by it.
    pub operations: Vec<&'static str>,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// Object ids of those who may read it and sign with it.
    pub users: Vec<String>,
}

/// A version of a secret in a vault, and who may read it.
#[derive(Debug, Clone)]
pub struct VaultSecret {
    /// Its id, 32 hexadecimal digits.
    pub version: String,
    /// Its value.
    pub value: String,
    /// Whether it may be read at all.
    pub enabled: bool,
    /// Object ids of those who may read it.
    pub users: Vec<String>,
    /// Object ids of those who may set the next one.
    pub writers: Vec<String>,
    /// What its value is, as whoever set it said.
    pub content_type: Option<String>,
    /// Tags.
    pub tags: Option<BTreeMap<String, String>>,
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Directory {
    apps: Mutex<BTreeMap<String, App>>,
    resources: Mutex<Vec<String>>,
    sign_ins: Mutex<Vec<Value>>,
    vault: Mutex<BTreeMap<String, vault::Held>>,
    secrets: Mutex<BTreeMap<String, Vec<VaultSecret>>>,
    vault_log: Mutex<Vec<Asked>>,
    asked: Mutex<Vec<Asked>>,
    life: Mutex<Option<i64>>,
    trouble: Mutex<Option<Trouble>>,
    pub(crate) clock: Clock,
    pub(crate) signer: Signer,
    /// `https://localhost:PORT`.
    url: String,
}

/// One request, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `POST /.../token`.
    pub line: String,
    /// In lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Directory {
    fn apps(&self) -> MutexGuard<'_, BTreeMap<String, App>> {
        held(&self.apps)
    }

    fn trouble(&self) -> Option<Trouble> {
        *held(&self.trouble)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resources that every tenant knows.
const RESOURCES: [&str; 7] = [
    "https://management.azure.com",
    "https://storage.azure.com",
    "https://database.windows.net",
    "https://ossrdbms-aad.database.windows.net",
    "https://vault.azure.net",
    "6dae42f8-4368-4678-94ff-3960e28e3630",
    "https://graph.microsoft.com",
];

/// The running fake. It ends when it is dropped.
#[derive(Debug)]
pub struct Entra {
    directory: Arc<Directory>,
    authority: String,
    _background: Background,
}

impl Entra {
    /// Starts it over TLS on loopback: see [`Self::ca_pem`].
    ///
    /// # Errors
    /// If there is no port or no key.
    pub fn start() -> Result<Self, String> {
        let background = Background::start()?;
        let certificate = Certificate::make(&[])?;
        let tls = acceptor(&certificate)?;
        let (listener, address) = background.run(listen())?;
        let directory = Arc::new(Directory {
            apps: Mutex::default(),
            resources: Mutex::new(RESOURCES.map(str::to_owned).to_vec()),
            sign_ins: Mutex::default(),
            vault: Mutex::default(),
            secrets: Mutex::default(),
            vault_log: Mutex::default(),
            asked: Mutex::default(),
            life: Mutex::new(None),
            trouble: Mutex::new(None),
            clock: Clock::default(),
            signer: Signer::make()?,
            url: format!("https://localhost:{}", address.port()),
        });
        background.spawn(serve(listener, Some(tls), service::router(Arc::clone(&directory))));
        Ok(Self { directory, authority: certificate.authority, _background: background })
    }

    /// `https://localhost:PORT`, for `authority` and for what stands for ARM and vaults.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.directory.url
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// The authority that vouches for its certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority
    }

    /// Registers an application, or another definition of it.
    ///
    /// # Errors
    /// What Entra would refuse in it.
    pub fn app(&self, app: App) -> Result<(), String> {
        checked(&app)?;
        self.directory.apps().insert(app.client_id.clone(), app);
        Ok(())
    }

    /// Lets the tenant know one more resource.
    pub fn resource(&self, name: &str) {
        held(&self.directory.resources).push(name.to_owned());
    }

    /// Lets tokens live for so many seconds.
    pub fn life(&self, seconds: i64) {
        *held(&self.directory.life) = Some(seconds);
    }

    /// Gets the token endpoint into trouble, or out of it; the clock is then the trouble's, or the machine's.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        *held(&self.directory.trouble) = trouble;
        self.directory.clock.set_ahead(trouble.map_or(0, Trouble::clock));
    }

    /// Sets its clock so many seconds ahead of the machine's; behind, if negative.
    pub fn clock_ahead(&self, seconds: i64) {
        self.directory.clock.set_ahead(seconds);
    }

    /// The sign-ins of service principals, as the log of that name has them: oldest first.
    #[must_use]
    pub fn sign_ins(&self) -> Vec<Value> {
        held(&self.directory.sign_ins).clone()
    }

    /// Every request for a token, as it came, oldest first.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        held(&self.directory.asked).clone()
    }

    /// The claims of an access token of this fake's for that resource, if it is one and lives.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, token: &str, audience: &str) -> Result<Value, String> {
        self.directory.verify(token, audience)
    }

    /// Makes a key in the vault `https://writ.vault.azure.net`; gives its identifier.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn vault_key(&self, name: &str, key: &VaultKey) -> Result<String, String> {
        vault::make(&self.directory, name, key)
    }

    /// Adds a version to a secret of the vault `https://writ.vault.azure.net`; gives the secret's identifier, without a version.
    #[must_use]
    pub fn vault_secret(&self, name: &str, version: VaultSecret) -> String {
        held(&self.directory.secrets).entry(name.to_owned()).or_default().push(version);
        vault::secret_id(name)
    }

    /// Every request for a secret, as it came, oldest first.
    #[must_use]
    pub fn secrets_asked(&self) -> Vec<Asked> {
        held(&self.directory.vault_log).clone()
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }
}

fn guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)))
}

/// What Entra asks of federated credentials.
fn checked(app: &App) -> Result<(), String> {
    if !guid(&app.client_id) || !guid(&app.object_id) {
        return Err("an id that is no GUID".to_owned());
    }
    if app.federated.len() > 20 {
        return Err("more than 20 federated credentials".to_owned());
    }
    for (number, one) in app.federated.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(3..=120).contains(&one.name.len()) || !one.name.bytes().all(plain) {
            return Err(format!("`{}` is no name of a federated credential", one.name));
        }
        for text in [&one.issuer, &one.subject, &one.audience] {
            if text.is_empty() || text.len() > 600 || text.chars().any(char::is_whitespace) {
                return Err(format!(
                    "`{}`: issuer, subject and audience are 1 to 600 characters without white space",
                    one.name
                ));
            }
        }
        let loopback = one.issuer.starts_with("http://127.0.0.1");
        if !one.issuer.starts_with("https://") && !loopback {
            return Err(format!("`{}`: the issuer is not https", one.name));
        }
        let twice =
            |other: &Federated| other.name == one.name || (other.issuer == one.issuer && other.subject == one.subject);
        if app.federated.iter().skip(number + 1).any(twice) {
            return Err(format!("`{}`: name, and issuer with subject, are unique", one.name));
        }
    }
    Ok(())
}
