//! Each version of PostgreSQL describes its tables and views in a way that is understood: what has a rule is masked, and nothing else.

use tokio_postgres::{NoTls, SimpleQueryMessage};
use writ_world::postgres::{Cluster, SUPERUSER, Version};

use crate::world::{World, target};

const TABLES: &str = "create table people (id int8 primary key, name text, card text); \
    insert into people values (1, 'Ada Lovelace', '4111111111111111'); \
    create view plain as select id as one, name as shown from people; \
    create view deep as select p.one, upper(p.shown) as loud, q.card from plain p join people q on q.id = p.one; \
    create view picked as with few as (select * from people where id > 0) select id, name from few union all select 0, 'nobody'; \
    create view called as select query_to_xml('select name from people', true, true, '')::text as x, 1 as n; \
    create materialized view kept as select name as it, id from people; \
    create table parted (id int8, name text) partition by range (id); \
    create table part partition of parted for values from (0) to (9); insert into parted values (1, 'Ada Lovelace')";
const RULES: &str = r#"
    computed = "mask"
    rules = [
        { name = "names", column = "people.name", action = "redact" },
        { name = "parts", column = "part.name", action = "redact" },
    ]
"#;

async fn masked(version: Version) {
    let cluster = Cluster::start(version).unwrap();
    let mut direct = tokio_postgres::Config::new();
    direct.host("127.0.0.1").port(cluster.port()).user(SUPERUSER).password(cluster.password()).dbname("postgres");
    let (client, connection) = direct.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(TABLES).await.unwrap();
    let world = World::start(|fake| {
        (fake.target, fake.password) = (target(cluster.port()), cluster.password().to_owned());
        fake.masks = Some(RULES.to_owned());
    })
    .await;
    let session = world.client().await;
    for (sql, expected) in [
        ("select id, name, card from people", "1|REDACTED|4111111111111111"),
        ("select one, shown from plain", "1|REDACTED"),
        ("select one, loud, card from deep", "1|REDACTED|4111111111111111"),
        ("select name from picked where id = 1", "REDACTED"),
        ("select x from called", "REDACTED"),
        ("select it, id from kept", "REDACTED|1"),
        ("select name from parted", "REDACTED"),
        ("select id from parted", "1"),
        ("select relname from pg_class where relname = 'people'", "people"),
        ("select setting from pg_settings where name = 'work_mem'", "REDACTED"),
    ] {
        let rows = session.simple_query(sql).await.unwrap();
        let row = rows.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len()).map(|place| row.get(place).unwrap_or("NULL").to_owned()).collect::<Vec<_>>().join("|"),
            ),
            _ => None,
        });
        assert_eq!(row.as_deref(), Some(expected), "{sql} on {}", version.major());
    }
    drop((session, client, world));
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn views_of_each_version_go_back_to_their_tables() {
    for version in Version::ALL {
        masked(version).await;
    }
}
