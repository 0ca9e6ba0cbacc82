//! What a user of MySQL costs beside the statements that make it, at a real server, over TLS. Prints `name value unit`.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use writ_core::provider::Provider as _;
use writ_core::target::Protocol;
use writ_provider_database::{MysqlConfig, MysqlProvider};
use writ_provider_kit::bench::{self, Failure};
use writ_world::mysql::{ADMIN, Release, Server};

/// Each makes a user of each side's, which the server writes to disk.
const ROUNDS: usize = 2_000;
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);
async fn admin(server: &Server) -> Result<Conn, Failure> {
    let roots = vec![server.ca_pem().as_bytes().to_vec().into()];
    let tls = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
    let opts = OptsBuilder::default().ip_or_hostname(server.host()).tcp_port(server.port()).user(Some(ADMIN));
    let opts = opts.pass(Some(server.password())).prefer_socket(false).ssl_opts(tls);
    Ok(Conn::new(opts).await?)
}

/// The statements of the newest mint, by the server's own log: the question about the roles, and what makes this user.
fn statements(log: &str, user: &str) -> Result<(String, String), Failure> {
    let said: Vec<&str> = log.split(" Query\t").collect();
    let making = said.iter().rposition(|text| text.starts_with("CREATE USER") && text.contains(user));
    let making = making.filter(|at| *at > 1).ok_or("the server's log has no such user")?;
    // What follows a statement is the time and the connection of the next.
    let whole = |at: usize| said.get(at).and_then(|text| text.rsplit_once('\n')).map(|(text, _)| text.to_owned());
    let (Some(question), Some(create)) = (whole(making - 1), whole(making)) else {
        return Err("the server's log is cut short".into());
    };
    Ok((question, create))
}

async fn run() -> Result<(), Failure> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Server::start(Release::Mysql9)?;
    let mut admin = admin(&server).await?;
    admin.query_drop("CREATE ROLE app").await?;
    let password = tempfile::NamedTempFile::new()?;
    std::fs::write(password.path(), server.password())?;
    let config = MysqlConfig {
        user: ADMIN.to_owned(),
        password_file: Some(password.path().to_owned()),
        password_env: None,
        host: None,
        port: None,
        client_host: "%".to_owned(),
        default_roles: vec!["app".to_owned()],
        pool_size: 1,
        call_timeout_ms: 5_000,
        sweep_limit: 1_000,
    };
    let address = bench::address(server.port(), Some(server.ca_pem().to_owned()));
    let target = bench::target("mysql", Protocol::Mysql, address)?;
    let provider = MysqlProvider::new(config, &target.address)?;
    let said = |error: mysql_async::Error| error.to_string();

    let minted = provider.mint(&target, bench::intended(), DEADLINE).await.map_err(|fault| format!("{fault:?}"))?;
    let first = minted.credential().ok_or("the writ has ended")?.principal.clone();
    let (question, create) = statements(&server.log(), &first)?;
    let mut round = 0_usize;
    let bare = async || {
        round += 1;
        let create = create.replace(&first, &format!("bench-{round}"));
        admin.query_drop(question.as_str()).await.map_err(said)?;
        admin.query_drop(create).await.map_err(said)
    };
    let cost = bench::of_mint(&provider, &target, ROUNDS, bench::intended, bare).await?;
    cost.print("mysql");
    Ok(())
}

fn main() -> Result<(), Failure> {
    bench::main(run())
}
