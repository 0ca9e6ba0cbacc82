//! The settings of MySQL's and MariaDB's provider.

use super::{Table, optional, required};

/// `[broker.target.provider.mysql]`.
pub(super) const MYSQL: Table = Table {
    head: "[broker.target.provider.mysql]",
    about: "A user of MySQL or MariaDB for each writ; see [the provider `mysql`](providers/mysql.md).",
    settings: &[
        required(
            "user",
            "text",
            "The broker's own login at the server: CREATE USER, and each role that it grants WITH ADMIN OPTION.",
            "\"writ_broker\"",
        ),
        optional(
            "password_file",
            "path",
            "",
            "The file that holds the login's password, and nothing else. This or `password_env`.",
            "\"password\"",
        ),
        optional(
            "password_env",
            "text",
            "",
            "The name of the environment variable that holds the login's password.",
            "\"SHOP_PASSWORD\"",
        ),
        optional(
            "host",
            "text",
            "",
            "Where the broker reaches the server, if not where the gateway does.",
            "\"10.0.0.5\"",
        ),
        optional("port", "number", "", "Its port there.", "3307"),
        optional(
            "client_host",
            "text",
            "%",
            "From where writs' users may log in: the host part of their names. The gateway's address where it is known.",
            "\"10.0.8.7\"",
        ),
        optional(
            "default_roles",
            "list of texts",
            "[]",
            "Roles that every writ's user is granted, besides the one that policy grants.",
            "[\"readers\"]",
        ),
        optional(
            "pool_size",
            "number",
            "4",
            "Connections to the server at most, 1 to 64; a call that is given up opens one more, briefly, to stop it.",
            "8",
        ),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call to the server, 100 to 60000.",
            "2000",
        ),
        optional(
            "sweep_limit",
            "number",
            "1000",
            "Leftovers that one sweep removes at most, 1 to 10000; the next sweep takes the rest.",
            "100",
        ),
    ],
};
