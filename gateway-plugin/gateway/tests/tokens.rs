//! Login tokens in a password's place, as RDS takes them: kilobytes long, given to the server as they are, and only to one that
//! is known.

use tokio_postgres::NoTls;
use writ_core::target::{Target, UpstreamTls};
use writ_world::postgres::{Cluster, SUPERUSER, Version};

use crate::world::evidence::TOKEN;
use crate::world::raw::Raw;
use crate::world::{World, target};

/// As long as a token with a large session token in it.
const LENGTH: usize = 8 * 1024;

/// A server that asks one user for its password as it is, with TLS and without.
async fn server(token: &str) -> Cluster {
    let cluster = Cluster::start(Version::V15).unwrap();
    let mut direct = tokio_postgres::Config::new();
    direct.host("127.0.0.1").port(cluster.port()).user(SUPERUSER).password(cluster.password()).dbname("postgres");
    let (client, connection) = direct.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("create role app login password '{token}'")).await.unwrap();
    let file = cluster.data().join("pg_hba.conf");
    let others = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("host all app all password\n{others}")).unwrap();
    client.simple_query("select pg_reload_conf()").await.unwrap();
    crate::world::until_server(&client, "select count(*) > 0 from pg_hba_file_rules where 'app' = any (user_name)")
        .await;
    drop(client);
    connection.await.unwrap().unwrap();
    cluster
}

fn verified(cluster: &Cluster) -> Target {
    let mut target = target(cluster.port());
    cluster.host().clone_into(&mut target.address.host);
    (target.address.tls, target.address.ca_pem) = (UpstreamTls::VerifyFull, Some(cluster.ca_pem().to_owned()));
    target
}

#[tokio::test]
async fn a_long_token_is_given_to_a_known_server_and_to_no_other() {
    let token: String = ('a'..='z').cycle().take(LENGTH).collect();
    let cluster = server(&token).await;
    let world = World::start(|fake| {
        (fake.target, fake.principal, fake.password) = (verified(&cluster), "app".to_owned(), token.clone());
    })
    .await;
    let session = world.client().await;
    let row =
        session.query_one("select current_user::text, ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await;
    let row = row.unwrap();
    assert_eq!((row.get::<_, String>(0).as_str(), row.get::<_, bool>(1)), ("app", true));

    // One character less, and it is another's.
    let cut = World::start(|fake| {
        (fake.target, fake.principal, fake.password) =
            (verified(&cluster), "app".to_owned(), token.get(1..).unwrap().to_owned());
    })
    .await;
    let refused = Raw::login(cut.port(), TOKEN).await.err().unwrap();
    assert!(!format!("{refused:?}").contains(token.get(1..40).unwrap()));

    // Without TLS, or to a server that another authority vouches for, nothing is said.
    let other = Cluster::start(Version::V15).unwrap();
    let strangers = |mut target: Target| {
        target.address.ca_pem = Some(other.ca_pem().to_owned());
        target
    };
    for target in [target(cluster.port()), strangers(verified(&cluster))] {
        let world = World::start(|fake| {
            (fake.target, fake.principal, fake.password) = (target, "app".to_owned(), token.clone());
        })
        .await;
        let before = cluster.log().matches("password authentication failed").count();
        let refused = Raw::login(world.port(), TOKEN).await.err().unwrap();
        assert!(["28000", "08001"].contains(&refused.field(b'C').as_str()), "{refused:?}");
        assert_eq!(cluster.log().matches("password authentication failed").count(), before, "no password was given");
    }
}
