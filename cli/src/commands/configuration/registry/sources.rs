//! The settings of the provider `static`, and of the places where its secrets may be kept.

use super::{optional, required};
use crate::commands::configuration::Table;

pub(super) const STATIC: Table = Table {
    head: "[broker.target.provider.static]",
    about: "A password that somebody configured, fetched for each writ; see [the provider](providers/static.md). It is not minted and cannot be revoked: prefer another provider. Exactly one of `password_file`, `password_env` and `source` is written.",
    settings: &[
        optional("user", "text", "", "The user that the target knows. This or `user_field`.", "\"app\""),
        optional("password_file", "path", "", "The file that holds its password, and nothing else.", "\"password\""),
        optional(
            "password_env",
            "text",
            "",
            "The name of the environment variable that holds its password.",
            "\"APP_PASSWORD\"",
        ),
        optional(
            "source",
            "table",
            "",
            "Where the secret is kept: one table, named after the kind. Besides those below, `source = { file = \"password\" }` and `source = { env = \"APP_PASSWORD\" }` are the same as the two above.",
            "",
        ),
        optional("field", "text", "", "The secret is JSON, and the password this field of it.", "\"password\""),
        optional("user_field", "text", "", "The secret is JSON, and the user this field of it.", "\"username\""),
        optional(
            "rotation",
            "table",
            "",
            "The broker changes the password itself, in turns of two users. `user_field` and `field` are `username` and `password` then, where neither is written.",
            "",
        ),
    ],
};

pub(super) const ROTATION: Table = Table {
    head: "[broker.target.provider.static.rotation]",
    about: "Two users whose rights are the same take turns; see [rotation](providers/static.md#rotation). Exactly one of `postgres` and `mysql` is written.",
    settings: &[
        required("users", "list of texts", "The two users.", "[\"app_a\", \"app_b\"]"),
        required("every", "duration", "How often, `1h` to `366d`; longer than `broker.max_ttl`.", "\"30d\""),
        optional("postgres", "table", "", "The login that sets passwords at a PostgreSQL.", ""),
        optional("mysql", "table", "", "The login that sets passwords at a MySQL or MariaDB.", ""),
    ],
};

pub(super) const ROTATION_POSTGRES: Table = Table {
    head: "[broker.target.provider.static.rotation.postgres]",
    about: "The login that sets passwords at a PostgreSQL. TLS is the target's own.",
    settings: &[
        required(
            "user",
            "text",
            "The broker's own login at the server: CREATEROLE, and from PostgreSQL 16 on ADMIN OPTION on both users.",
            "\"writ_rotator\"",
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
            "\"ROTATOR_PASSWORD\"",
        ),
        optional(
            "database",
            "text",
            "postgres",
            "The database to log in to, for the login and, when a password is tried, for the users.",
            "\"orders\"",
        ),
        optional(
            "host",
            "text",
            "",
            "Where the broker reaches the server, if not where the gateway does.",
            "\"10.0.0.5\"",
        ),
        optional("port", "number", "", "Its port there.", "5433"),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call to the server, 100 to 60000.",
            "2000",
        ),
    ],
};

pub(super) const ROTATION_MYSQL: Table = Table {
    head: "[broker.target.provider.static.rotation.mysql]",
    about: "The login that sets passwords at a MySQL or MariaDB. Authorities are the target's own.",
    settings: &[
        required(
            "user",
            "text",
            "The broker's own login at the server: CREATE USER, and SELECT on `mysql.user`, at MySQL on `mysql.global_grants` too.",
            "\"writ_rotator\"",
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
            "\"ROTATOR_PASSWORD\"",
        ),
        optional(
            "host",
            "text",
            "",
            "Where the broker reaches the server, if not where the gateway does.",
            "\"10.0.0.5\"",
        ),
        optional("port", "number", "", "Its port there.", "3307"),
        optional("client_host", "text", "%", "The host part of both users' names.", "\"10.0.8.7\""),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call to the server, 100 to 60000.",
            "2000",
        ),
    ],
};

pub(super) const AWS: Table = Table {
    head: "[broker.target.provider.static.source.aws-secretsmanager]",
    about: "A secret of AWS Secrets Manager, fetched with the broker's own identity at AWS.",
    settings: &[
        required("region", "text", "The region that the secret is in.", "\"eu-west-1\""),
        required("secret", "text", "Its name or ARN.", "\"prod/orders\""),
        optional(
            "version",
            "text",
            "",
            "The version's id: the one that `stage` names where this is left out.",
            "\"a1b2c3d4-5678-90ab-cdef-EXAMPLE11111\"",
        ),
        optional(
            "stage",
            "text",
            "",
            "The staging label of the version: `AWSCURRENT` where this is left out.",
            "\"AWSCURRENT\"",
        ),
        optional(
            "endpoint",
            "text",
            "",
            "Where Secrets Manager is, if not where AWS has it.",
            "\"https://vpce-0123.secretsmanager.eu-west-1.vpce.amazonaws.com\"",
        ),
    ],
};

pub(super) const GCP: Table = Table {
    head: "[broker.target.provider.static.source.gcp-secretmanager]",
    about: "A secret of Google's Secret Manager, fetched with the broker's own identity at Google.",
    settings: &[
        required("secret", "text", "Its resource name.", "\"projects/acme-prod/secrets/orders\""),
        optional("version", "number", "", "The version: the newest where this is left out.", "3"),
        optional(
            "endpoint",
            "text",
            "",
            "Where Secret Manager is, if not where Google has it.",
            "\"https://secretmanager.p.googleapis.com\"",
        ),
    ],
};

pub(super) const AZURE: Table = Table {
    head: "[broker.target.provider.static.source.azure-keyvault]",
    about: "A secret of Azure Key Vault, fetched with the broker's own identity at Azure.",
    settings: &[
        required(
            "secret",
            "text",
            "Its identifier; with `/VERSION` after the name for one version.",
            "\"https://acme.vault.azure.net/secrets/orders\"",
        ),
        optional(
            "endpoint",
            "text",
            "",
            "Where the vault is dialled, if not at its own name.",
            "\"https://acme.privatelink.vaultcore.azure.net\"",
        ),
    ],
};

pub(super) const KUBERNETES: Table = Table {
    head: "[broker.target.provider.static.source.kubernetes-secret]",
    about: "A key of a Secret of Kubernetes. Exactly one of `kubeconfig`, `in_cluster` and `assertion` says how the broker is let in.",
    settings: &[
        required("secret", "text", "The Secret, `namespace/name`.", "\"shop/orders\""),
        required("key", "text", "The key in it.", "\"password\""),
        optional(
            "kubeconfig",
            "path",
            "",
            "A kubeconfig file with the cluster's address and the broker's own token or client certificate.",
            "\"kubeconfig\"",
        ),
        optional("context", "text", "", "The context in it: its `current-context` where this is left out.", "\"prod\""),
        optional(
            "in_cluster",
            "true or false",
            "false",
            "Whether the broker runs in the cluster, in a pod, and is let in by its service account.",
            "true",
        ),
        optional(
            "assertion",
            "table",
            "",
            "The cluster trusts the broker's own issuer (`[broker.issues]`): `audience`, as the cluster lists it.",
            "{ audience = \"https://cluster.example\" }",
        ),
        optional("server", "text", "", "Where the cluster is, with `assertion`.", "\"https://cluster.example:6443\""),
        optional(
            "ca_file",
            "path",
            "",
            "The authority that vouches for it, in PEM, with `assertion`: the system's where this is left out.",
            "\"cluster-ca.pem\"",
        ),
    ],
};
