//! The real server behind the front: the front logs in to it as the user whom a token let in.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};
use writ_world::postgres::SUPERUSER;

use super::front::message;
use crate::random_hex;

/// Passwords of users, each known to nobody but the front: made at a user's first login.
#[derive(Clone)]
pub(crate) struct Backend {
    port: u16,
    superuser: String,
    /// The role of whoever logs in by a token.
    role: &'static str,
    passwords: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Backend {
    pub(crate) fn new(port: u16, superuser: &str, role: &'static str) -> Self {
        Self { port, superuser: superuser.to_owned(), role, passwords: Arc::default() }
    }

    pub(super) const fn role(&self) -> &'static str {
        self.role
    }

    async fn superuser(&self) -> Result<Client, String> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(SUPERUSER).password(&self.superuser).dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.map_err(|error| format!("the server: {error}"))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Makes the role, which the cloud has from the start.
    pub(crate) async fn prepare(&self) -> Result<(), String> {
        let role = self.role;
        let made = format!(
            "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then
            create role {role} nologin; end if; end $$"
        );
        self.superuser().await?.batch_execute(&made).await.map_err(|error| error.to_string())
    }

    /// A password for the user, if it was granted the role itself.
    pub(super) async fn password(&self, user: &str) -> Result<Option<String>, String> {
        let said = |error: tokio_postgres::Error| format!("the server: {error}");
        let client = self.superuser().await?;
        let granted = "select quote_ident(member.rolname) from pg_auth_members
            join pg_roles member on member.oid = pg_auth_members.member
            join pg_roles role on role.oid = pg_auth_members.roleid
            where role.rolname = $2 and member.rolname = $1";
        let Some(row) = client.query_opt(granted, &[&user, &self.role]).await.map_err(said)? else { return Ok(None) };
        let quoted: String = row.get(0);
        let mut passwords = self.passwords.lock().await;
        if let Some(known) = passwords.get(user) {
            return Ok(Some(known.clone()));
        }
        let fresh = random_hex(16)?;
        client.batch_execute(&format!("alter role {quoted} password '{fresh}'")).await.map_err(said)?;
        passwords.insert(user.to_owned(), fresh.clone());
        Ok(Some(fresh))
    }

    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).await
    }
}

/// Sends the client's own start-up and logs in by SCRAM. Gives what the client is to hear: the server's messages up to its
/// yes, or its error.
pub(super) async fn log_in(
    server: &mut TcpStream,
    startup: &[u8],
    password: &str,
) -> io::Result<Result<Vec<u8>, Vec<u8>>> {
    server.write_all(startup).await?;
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let mut heard = Vec::new();
    loop {
        let (tag, body) = read_message(server).await?;
        match (tag, body.get(..4), body.get(4..)) {
            (b'E', _, _) => return Ok(Err(message(b'E', &body))),
            (b'R', Some([0, 0, 0, 0]), _) => {
                heard.extend(message(b'R', &body));
                return Ok(Ok(heard));
            }
            (b'R', Some([0, 0, 0, 10]), _) => {
                let first = scram.message().to_vec();
                let length = i32::try_from(first.len()).map_err(io::Error::other)?;
                let answer = [b"SCRAM-SHA-256\0".as_slice(), &length.to_be_bytes(), &first].concat();
                server.write_all(&message(b'p', &answer)).await?;
            }
            (b'R', Some([0, 0, 0, 11]), Some(challenge)) => {
                scram.update(challenge)?;
                server.write_all(&message(b'p', scram.message())).await?;
            }
            (b'R', Some([0, 0, 0, 12]), Some(last)) => scram.finish(last)?,
            (b'R', _, _) => return Err(io::Error::other("the server asks for something else than SCRAM")),
            _ => heard.extend(message(tag, &body)),
        }
    }
}

async fn read_message(server: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let tag = server.read_u8().await?;
    let length = usize::try_from(server.read_i32().await?).map_err(io::Error::other)?;
    let length = length.checked_sub(4).filter(|length| *length <= 65_535);
    let mut body = vec![0; length.ok_or_else(|| io::Error::other("a length that cannot be"))?];
    server.read_exact(&mut body).await?;
    Ok((tag, body))
}
