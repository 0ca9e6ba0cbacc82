//! The real server with the PAM module of `tests/fakes/pam`. Only root may add a PAM service, so that only root has this.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio_postgres::NoTls;
use writ_world::packages;
use writ_world::postgres::{Cluster, SUPERUSER, Version};

use crate::random_hex;
use crate::sigv4::Keys;

const SERVICES: &str = "/etc/pam.d";

/// A server of Debian's that takes tokens over TLS by PAM, and passwords of its superuser alone.
#[derive(Debug)]
pub struct PamServer {
    cluster: Cluster,
    /// Removed with the server.
    service: PathBuf,
    _keys: tempfile::TempDir,
}

impl PamServer {
    /// Whether this process may add a PAM service.
    #[must_use]
    pub fn possible() -> bool {
        nix::unistd::access(Path::new(SERVICES), nix::unistd::AccessFlags::W_OK).is_ok()
    }

    /// Starts it for tokens of these keys, for an endpoint of this host and its own port.
    ///
    /// # Errors
    /// What is missing, and which script brings it; or what the server says.
    pub async fn start(host: &str, region: &str, keys: &[Keys]) -> Result<Self, String> {
        let remedy = "`tests/world/scripts/build-pam`";
        let module = packages::need(&packages::cache().join("pam/pam_writ_rds.so"), remedy)?;
        let module = fs::canonicalize(module).map_err(said)?;
        let cluster = Cluster::start(Version::V15)?;
        let directory = tempfile::Builder::new().prefix("writ-pam-").tempdir().map_err(said)?;
        let file = directory.path().join("keys");
        let lines: Vec<String> = keys.iter().map(line).collect();
        fs::write(&file, lines.concat()).map_err(said)?;
        give_to_server(&cluster, directory.path(), &file)?;
        let name = format!("writ-rds-{}", random_hex(8)?);
        let service = Path::new(SERVICES).join(&name);
        let (module, file, port) = (module.display(), file.display(), cluster.port());
        let auth = format!("auth required {module} keys={file} endpoint={host}:{port} region={region}\n");
        fs::write(&service, format!("{auth}account required pam_permit.so\n")).map_err(said)?;
        let server = Self { cluster, service, _keys: directory };
        server.demand(&name).await?;
        Ok(server)
    }

    /// Lets the superuser in as before, and everybody else by TLS and PAM alone.
    async fn demand(&self, service: &str) -> Result<(), String> {
        let rules = format!(
            "host all {SUPERUSER} 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 pam pamservice={service}\n"
        );
        fs::write(self.cluster.data().join("pg_hba.conf"), rules).map_err(said)?;
        let (client, connection) =
            tokio_postgres::connect(&self.cluster.url("postgres"), NoTls).await.map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let reloaded = client.batch_execute("select pg_reload_conf()").await.map_err(|error| error.to_string());
        connection.abort();
        reloaded
    }

    /// The server itself.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for PamServer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.service);
    }
}

fn line(keys: &Keys) -> String {
    format!("{} {} {}\n", keys.access_key, keys.secret, keys.token.as_deref().unwrap_or_default())
}

/// The server's user owns the keys, and nobody else reads them.
fn give_to_server(cluster: &Cluster, directory: &Path, file: &Path) -> Result<(), String> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let owner = fs::metadata(cluster.data()).map_err(said)?;
    for (path, mode) in [(directory, 0o700), (file, 0o600)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(said)?;
        chown(path, Some(owner.uid()), Some(owner.gid())).map_err(said)?;
    }
    Ok(())
}

fn said(error: std::io::Error) -> String {
    format!("the server with PAM: {error}")
}
