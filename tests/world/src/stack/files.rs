//! The files that Writ is started with.

use std::path::Path;

use super::{AUDIENCE, ISSUER, Settings, TARGET, write};

/// The authority of a gateway that runs on its own.
pub(super) const GATEWAY_CA: &str = "gateway-ca.pem";

/// The texts of configurations.
pub(super) struct Texts<'a> {
    pub(super) at: &'a Path,
    pub(super) database: u16,
    pub(super) broker: u16,
    pub(super) gateway: u16,
    pub(super) settings: &'a Settings,
}

impl Texts<'_> {
    pub(super) fn serve(&self) -> String {
        let at = self.at.display();
        let link = format!("[link]\nstate = \"{at}/gateway\"\n{}\n", self.settings.link);
        format!("{LOG}{}{link}{}", self.broker_table(), self.gateway_table())
    }

    pub(super) fn broker(&self) -> String {
        format!("{LOG}{}", self.broker_table())
    }

    pub(super) fn gateway(&self) -> String {
        let at = self.at.display();
        format!(
            r#"{LOG}[link]
state = "{at}/gateway"
broker = "https://127.0.0.1:{}"
broker_ca_file = "{at}/broker/keys/ca.pem"
join_token_file = "{at}/join-token"
{}

{}
[gateway.listeners.certificate]
chain = "{at}/gateway-chain.pem"
key = "{at}/gateway-key.pem"
"#,
            self.broker,
            self.settings.link,
            self.gateway_table()
        )
    }

    pub(super) fn client(&self) -> String {
        let at = self.at.display();
        format!(
            "broker = \"https://127.0.0.1:{}\"\nca_file = \"{at}/broker/keys/ca.pem\"\ntoken_file = \"{at}/admin-token\"\n",
            self.broker
        )
    }

    fn gateway_table(&self) -> String {
        format!(
            "[gateway]\nworkers = 2\n{}\n\n[[gateway.listeners]]\nlisten = \"127.0.0.1:{}\"\n",
            self.settings.gateway, self.gateway
        )
    }

    fn broker_table(&self) -> String {
        let (at, broker, database, more) = (self.at.display(), self.broker, self.database, &self.settings.broker);
        format!(
            r#"[broker]
listen = "127.0.0.1:{broker}"
url = "https://127.0.0.1:{broker}"
names = ["localhost"]
state = "{at}/broker"
policies = "{at}/policies"
audience = "{AUDIENCE}"
admin_token_file = "{at}/admin-token"
{more}

[[broker.issuer]]
name = "test"
issuer = "{ISSUER}"
algorithms = ["ES256"]
max_lifetime = "1h"
jwks_file = "{at}/jwks.json"

[[broker.target]]
name = "{TARGET}"
host = "127.0.0.1"
port = {database}
tls = "disable"

[broker.target.provider.database]
user = "writ_broker"
password_file = "{at}/login.password"
database = "{TARGET}"

"#
        )
    }
}

const LOG: &str = "[log]\nfilter = \"info\"\n\n";

/// A certificate for a gateway that runs on its own, by an authority that only its clients trust.
pub(super) fn certify(at: &Path) -> Result<(), String> {
    let failed = |error: rcgen::Error| format!("no certificate: {error}");
    let authority_key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut authority = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.distinguished_name.push(rcgen::DnType::CommonName, "authority of the test");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).map_err(failed)?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).map_err(failed)?;
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    let leaf = leaf.signed_by(&key, &issuer).map_err(failed)?;
    write(&at.join(GATEWAY_CA), &root.pem())?;
    write(&at.join("gateway-chain.pem"), &leaf.pem())?;
    write(&at.join("gateway-key.pem"), &key.serialize_pem())
}
