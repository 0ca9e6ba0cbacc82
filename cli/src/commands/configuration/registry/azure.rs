//! The settings of the providers of Azure.

use super::{optional, required};
use crate::commands::configuration::{Setting, Table};

const TENANT: Setting =
    required("tenant_id", "text", "The tenant's id, a GUID.", "\"aaaabbbb-0000-cccc-1111-dddd2222eeee\"");

/// `[broker.target.provider.azure]`.
pub(super) const AZURE: Table = Table {
    head: "[broker.target.provider.azure]",
    about: "Access tokens of Microsoft Entra; see [the provider `azure`](providers/azure.md). Needs `[broker.issues]`.",
    settings: &[
        TENANT,
        optional(
            "client_id",
            "text",
            "",
            "The client id, of an application or a user-assigned managed identity, of sessions for which policy names none.",
            "\"00001111-aaaa-2222-bbbb-3333cccc4444\"",
        ),
        optional(
            "clients",
            "table of texts",
            "{}",
            "Client ids by the names that policies give them (`@role`). No other client is used.",
            "{ writer = \"11112222-bbbb-3333-cccc-4444dddd5555\" }",
        ),
        optional(
            "resource",
            "text",
            "",
            "What tokens are for where policy names nothing: `arm`, `storage`, `sql`, `postgres`, `mysql`, `aks`, `key_vault`, or a scope that ends in `/.default`.",
            "\"storage\"",
        ),
        optional(
            "resources",
            "table of texts",
            "{}",
            "The same by the names that policies give it (`@scope`).",
            "{ manage = \"arm\" }",
        ),
        optional("entra", "table", "", "How Entra is asked.", ""),
    ],
};

/// `[broker.target.provider.azure.entra]`.
pub(super) const ENTRA: Table = Table {
    head: "[broker.target.provider.azure.entra]",
    about: "How Entra is asked. The same in `azure_database`, and in `aks` of `kubernetes`.",
    settings: &[
        optional(
            "cloud",
            "text",
            "public",
            "Which of Azure's clouds: `public`, `us_government` or `china`.",
            "\"china\"",
        ),
        optional(
            "audience",
            "text",
            "",
            "Whom assertions are for: the federated credential's one audience. Left out, the one that the cloud recommends.",
            "\"api://AzureADTokenExchange\"",
        ),
        optional(
            "subject",
            "text",
            "target",
            "Whom assertions name: the `target`, or the `workload`. Only the former with `aks`.",
            "\"target\"",
        ),
        optional(
            "authority",
            "text",
            "",
            "Where Entra is, if not where its cloud has it: `https://host`.",
            "\"https://login.internal\"",
        ),
        optional(
            "authority_ca_file",
            "path",
            "",
            "Who vouches for it there: authorities in PEM. Left out, the system's.",
            "\"authority.pem\"",
        ),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call to Entra, 100 to 60000.",
            "2000",
        ),
    ],
};

/// `[broker.target.provider.azure_database]`.
pub(super) const DATABASE: Table = Table {
    head: "[broker.target.provider.azure_database]",
    about: "Logins to Azure Database for PostgreSQL; see [the provider `azure_database`](providers/azure-database.md). Needs `[broker.issues]`.",
    settings: &[
        TENANT,
        optional(
            "client_id",
            "text",
            "",
            "The client id, of an application or a user-assigned managed identity, that logs in.",
            "\"00001111-aaaa-2222-bbbb-3333cccc4444\"",
        ),
        optional(
            "user",
            "text",
            "",
            "The database's user of sessions for which policy names none: the name under which the server was told of the client.",
            "\"app\"",
        ),
        optional(
            "users",
            "table of texts",
            "{}",
            "Users by the names that policies give them (`@role`). No other user is given.",
            "{ reader = \"app_reader\" }",
        ),
        optional(
            "clients",
            "table of texts",
            "{}",
            "Client ids of users that are another client's, by the names in `users`.",
            "{ reader = \"11112222-bbbb-3333-cccc-4444dddd5555\" }",
        ),
        optional("entra", "table", "", "How Entra is asked: as `[broker.target.provider.azure.entra]`.", ""),
    ],
};

/// `[broker.target.provider.kubernetes.aks]`.
pub(super) const AKS: Table = Table {
    head: "[broker.target.provider.kubernetes.aks]",
    about: "An AKS cluster that lets the broker in by a client of Entra's; see [the provider `azure`](providers/azure.md). Needs `[broker.issues]`.",
    settings: &[
        TENANT,
        required(
            "client_id",
            "text",
            "The client id, of an application or a user-assigned managed identity, that the cluster lets in.",
            "\"00001111-aaaa-2222-bbbb-3333cccc4444\"",
        ),
        optional("entra", "table", "", "How Entra is asked: as `[broker.target.provider.azure.entra]`.", ""),
    ],
};
