//! SASL OAUTHBEARER with PostgreSQL 18's own client library and psql, and `writ login`, both against a conformant issuer.
//!
//! One stack and one issuer for the tests that run at the same time. Beside the usual listener, which takes passwords, there is
//! one that takes OAUTHBEARER where the client does not choose.

mod bearer;
mod device;
mod login;
mod talking;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use writ_world::oidc::{self, Oidc};
use writ_world::packages;
use writ_world::postgres::free_port;
use writ_world::stack::{AUDIENCE, Stack};

use super::clients::{fetched, program};

/// What the issuer's pages are told by the one who may do everything at the broker.
const ADMIN: &str = "ada";

/// A stack, an issuer of humans, and the port where OAUTHBEARER is asked for.
struct House {
    stack: Stack,
    issuer: Oidc,
    bearer_port: u16,
}

fn house() -> Result<Arc<House>, String> {
    static HOUSE: Mutex<Weak<House>> = Mutex::new(Weak::new());
    let mut known = HOUSE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(standing) = known.upgrade() {
        return Ok(standing);
    }
    let house = Arc::new(House::build()?);
    *known = Arc::downgrade(&house);
    Ok(house)
}

impl House {
    fn build() -> Result<Self, String> {
        let issuer = Oidc::start(&program("oidc_provider.mjs"), &fetched("node")?, AUDIENCE)?;
        let bearer_port = free_port()?;
        let stack = Stack::start_with(&[], |_, at, usual| {
            std::fs::write(at.join("policies/humans.cedar"), policy()).map_err(|error| error.to_string())?;
            Ok(format!("{usual}{}", tables(&issuer, bearer_port)))
        })?;
        Ok(Self { stack, issuer, bearer_port })
    }

    /// The issuer's discovery document.
    fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer.url())
    }

    /// A client of the listener that asks for OAUTHBEARER.
    fn bearer_client(&self, program: &std::path::Path, token: &str) -> Command {
        let mut command = self.stack.client(program, token);
        command.env("PGPORT", self.bearer_port.to_string());
        command
    }
}

fn policy() -> String {
    format!(
        "@id(\"admins\")\npermit (principal is Writ::Human, action, resource == Writ::System::\"writ\")\n\
         when {{ principal.subject == \"{ADMIN}\" }};\n"
    )
}

fn tables(issuer: &Oidc, bearer_port: u16) -> String {
    let common = format!(
        "name = \"humans\"\nissuer = \"{}\"\nalgorithms = [\"RS256\"]\nca_pem_file = \"{}\"\ninternal = true\n",
        issuer.url(),
        issuer.authority().display()
    );
    format!(
        "\n[[gateway.listeners]]\nlisten = \"127.0.0.1:{bearer_port}\"\nauth = \"oauthbearer\"\nallow_plain_loopback = true\n\
         oauth = {{ issuer = \"{}\", scope = \"openid\" }}\n\
         \n[[broker.issuer]]\ntyp = [\"at+jwt\"]\n{common}\
         \n[broker.humans]\nclient_id = \"{}\"\n\n[broker.humans.issuer]\n{common}",
        issuer.url(),
        oidc::CLI
    )
}

/// psql 18 with its device flow.
fn psql_18() -> Result<PathBuf, String> {
    packages::need(&packages::cache().join("libpq-18/bin/psql"), "`tests/world/scripts/fetch-libpq`")
}

/// libpq 18, of another build than psql's.
fn libpq_18() -> Result<PathBuf, String> {
    packages::need(&packages::cache().join("postgres-18/lib/libpq.so.5.18"), "`tests/world/scripts/fetch-postgres 18`")
}
