//! The PAM module of `tests/fakes/pam`: in libpam alone, for every user, and in the real server, for root.
//!
//! libpam reads a program's services from `/etc/pam.d`, where only root may write, unless the program names another directory;
//! PostgreSQL names none.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio_postgres::NoTls;
use writ_world::packages;
use writ_world::postgres::{Cluster, SUPERUSER, Version};

use crate::random_hex;
use crate::sigv4::Keys;

const SERVICES: &str = "/etc/pam.d";
const BUILD: &str = "`tests/world/scripts/build-pam`";

/// The module in libpam, asked by a program of its own that converses as PostgreSQL does.
#[derive(Debug)]
pub struct PamModule {
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl PamModule {
    /// For tokens of these keys, for an endpoint.
    ///
    /// # Errors
    /// What is missing, and which script brings it.
    pub fn prepare(endpoint: &str, region: &str, keys: &[Keys]) -> Result<Self, String> {
        let program = packages::need(&packages::cache().join("pam/pam_try"), BUILD)?;
        let directory = tempfile::Builder::new().prefix("writ-pam-").tempdir().map_err(said)?;
        let file = write_keys(directory.path(), keys)?;
        let service = service(&file, endpoint, region)?;
        fs::write(directory.path().join("service"), service).map_err(said)?;
        Ok(Self { program, directory })
    }

    /// Whether the token opens a login of the user.
    ///
    /// # Errors
    /// If the program does not run.
    pub fn opens(&self, user: &str, token: &str) -> Result<bool, String> {
        let mut command = Command::new(&self.program);
        command.arg(self.directory.path()).args(["service", user]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(said)?;
        child.stdin.take().ok_or("no pipe")?.write_all(token.as_bytes()).map_err(said)?;
        let output = child.wait_with_output().map_err(said)?;
        match (output.status.success(), output.stdout.as_slice()) {
            (true, b"yes\n") => Ok(true),
            (true, [b'n', b'o', ..]) => Ok(false),
            _ => Err("libpam did not take the service".to_owned()),
        }
    }
}

fn write_keys(directory: &Path, keys: &[Keys]) -> Result<PathBuf, String> {
    let file = directory.join("keys");
    let lines: Vec<String> = keys.iter().map(line).collect();
    let mut options = fs::OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(0o600).open(&file).map_err(said)?;
    opened.write_all(lines.concat().as_bytes()).map_err(said)?;
    Ok(file)
}

fn service(keys: &Path, endpoint: &str, region: &str) -> Result<String, String> {
    let module = packages::need(&packages::cache().join("pam/pam_writ_rds.so"), BUILD)?;
    let module = fs::canonicalize(module).map_err(said)?;
    let (module, keys) = (module.display(), keys.display());
    Ok(format!(
        "auth required {module} keys={keys} endpoint={endpoint} region={region}\naccount required pam_permit.so\n"
    ))
}

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
        let cluster = Cluster::start(Version::V15)?;
        let directory = tempfile::Builder::new().prefix("writ-pam-").tempdir().map_err(said)?;
        let file = write_keys(directory.path(), keys)?;
        give_to_server(&cluster, directory.path(), &file)?;
        let name = format!("writ-rds-{}", random_hex(8)?);
        let place = Path::new(SERVICES).join(&name);
        fs::write(&place, service(&file, &format!("{host}:{}", cluster.port()), region)?).map_err(said)?;
        let server = Self { cluster, service: place, _keys: directory };
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
    for path in [directory, file] {
        chown(path, Some(owner.uid()), Some(owner.gid())).map_err(said)?;
    }
    Ok(())
}

fn said(error: std::io::Error) -> String {
    format!("PAM: {error}")
}
