//! GitHub.

use super::super::Table;
use super::{optional, required};

pub(super) const GITHUB: Table = Table {
    head: "[broker.target.provider.github]",
    about: "An installation token of a GitHub App for each writ; see [the provider](providers/github.md). One of `private_key_file` and `private_key_env` is written.",
    settings: &[
        required("app", "text", "The App's client id, or its number.", "\"Iv23liExample0000001\""),
        required("installation", "number", "The number of the App's installation in the organization.", "12345678"),
        optional(
            "private_key_file",
            "path",
            "",
            "The file with the App's private key in PEM, as GitHub gave it.",
            "\"github-app.pem\"",
        ),
        optional(
            "private_key_env",
            "text",
            "",
            "The environment variable that holds it: its name, not its value.",
            "\"GITHUB_APP_KEY\"",
        ),
        optional(
            "scopes",
            "table of tables",
            "{}",
            "What sessions may do, by the names that policies give it (`@scope`): `[broker.target.provider.github.scopes.NAME]`.",
            "",
        ),
        optional(
            "default_scope",
            "text",
            "",
            "The scope of sessions for which policy names none; without it they are refused.",
            "\"read\"",
        ),
        optional(
            "api",
            "text",
            "https://api.github.com",
            "The API's address: `https://HOST/api/v3` for GitHub Enterprise Server, `https://api.SUBDOMAIN.ghe.com` for data residency.",
            "\"https://ghe.example/api/v3\"",
        ),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call of the broker's, 100 to 60000.",
            "2000",
        ),
    ],
};

pub(super) const SCOPE: Table = Table {
    head: "[broker.target.provider.github.scopes.NAME]",
    about: "What sessions may do for which policy names this scope. One of `repositories` and `repository_ids` is written, with 1 to 50.",
    settings: &[
        optional(
            "repositories",
            "list of texts",
            "[]",
            "The repositories, by name, without the owner's.",
            "[\"octo-repo\"]",
        ),
        optional(
            "repository_ids",
            "list of numbers",
            "[]",
            "The repositories by number, instead: a number is never given to another repository, as a name is.",
            "[74]",
        ),
        required(
            "permissions",
            "table of texts",
            "Permissions by GitHub's names, each `read`, `write` or `admin`.",
            "{ contents = \"read\" }",
        ),
    ],
};
