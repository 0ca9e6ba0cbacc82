//! Accounts in databases, one for each writ: PostgreSQL's roles ([`postgres`], the provider `database`), and MySQL's and
//! MariaDB's users ([`mysql`], the provider `mysql`). The two share [`roots`], whom to trust for a server's certificate.

pub mod mysql;
pub mod postgres;
mod roots;

pub use mysql::passwords::{MysqlPasswords, MysqlPasswordsConfig};
pub use mysql::{MysqlConfig, MysqlProvider};
pub use postgres::config::{ConfigFault, DatabaseConfig};
pub use postgres::passwords::{PostgresPasswords, PostgresPasswordsConfig};
pub use postgres::provider::DatabaseProvider;
