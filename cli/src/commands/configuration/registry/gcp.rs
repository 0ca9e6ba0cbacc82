//! The settings of Google's three providers.

use super::{Setting, Table, optional, required};

const ACCOUNT: Setting = optional(
    "service_account",
    "text",
    "",
    "The service account for which policy names none.",
    "\"reports@acme-prod.iam.gserviceaccount.com\"",
);

const ACCOUNTS: Setting = optional(
    "service_accounts",
    "table of texts",
    "{}",
    "Service accounts by the names that policies give them (`@role`). No other account is given.",
    "{ writer = \"reports-writer@acme-prod.iam.gserviceaccount.com\" }",
);

/// `[broker.target.provider.gcp]`.
pub(super) const GCP: Table = Table {
    head: "[broker.target.provider.gcp]",
    about: "Tokens of Google Cloud's service accounts; see [the provider `gcp`](providers/gcp.md).",
    settings: &[
        ACCOUNT,
        ACCOUNTS,
        optional(
            "direct",
            "true or false",
            "false",
            "Whether tokens are of the pool's principal itself, and of no service account.",
            "true",
        ),
        optional(
            "id_token_audience",
            "text",
            "",
            "Whom tokens are for: they are ID tokens then, and have no scopes.",
            "\"https://reports-abc123-ew.a.run.app\"",
        ),
        optional(
            "scopes",
            "table of tables",
            "{}",
            "What tokens may do, by the names that policies give it (`@scope`): `[broker.target.provider.gcp.scopes.NAME]`. A token never gets more than its scope and its account both allow.",
            "",
        ),
        optional("default_scope", "text", "", "The scope of tokens for which policy names none.", "\"read\""),
        optional(
            "federation",
            "table",
            "",
            "How Google knows who asks: `[broker.target.provider.gcp.federation]`.",
            "",
        ),
    ],
};

/// `[broker.target.provider.gcp.scopes.NAME]`.
pub(super) const SCOPE: Table = Table {
    head: "[broker.target.provider.gcp.scopes.NAME]",
    about: "One scope.",
    settings: &[
        required(
            "oauth",
            "list of texts",
            "OAuth scopes. `userinfo.email` is added: by it Google tells the account's address.",
            "[\"https://www.googleapis.com/auth/devstorage.read_only\"]",
        ),
        optional(
            "boundary",
            "list of tables",
            "[]",
            "Buckets of Cloud Storage that tokens are bounded to, at most ten: `[[broker.target.provider.gcp.scopes.NAME.boundary]]`.",
            "",
        ),
    ],
};

/// `[[broker.target.provider.gcp.scopes.NAME.boundary]]`.
pub(super) const RULE: Table = Table {
    head: "[[broker.target.provider.gcp.scopes.NAME.boundary]]",
    about: "One rule of a boundary.",
    settings: &[
        required("resource", "text", "The bucket.", "\"//storage.googleapis.com/projects/_/buckets/reports\""),
        required(
            "permissions",
            "list of texts",
            "Roles whose permissions are available there.",
            "[\"inRole:roles/storage.objectViewer\"]",
        ),
        optional(
            "condition",
            "text",
            "",
            "A condition in CEL.",
            "\"resource.name.startsWith('projects/_/buckets/reports/objects/2026/')\"",
        ),
    ],
};

/// `[broker.target.provider.gcp.federation]`.
pub(super) const FEDERATION: Table = Table {
    head: "[broker.target.provider.gcp.federation]",
    about: "How Google knows who asks. The same in `cloudsql` and `gke`, and in `gke` of `kubernetes`.",
    settings: &[
        optional(
            "by",
            "text",
            "issuer",
            "By what Google knows who asks: `issuer`, an assertion of Writ's own; `workload`, the workload's own token; `broker`, the identity that the broker's process has at Google.",
            "\"issuer\"",
        ),
        optional(
            "pool_provider",
            "text",
            "",
            "The provider of the workload identity pool that trusts the token's issuer, with the project's number. Not with `by = \"broker\"`.",
            "\"projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ\"",
        ),
        optional(
            "audience",
            "text",
            "",
            "Whom assertions are for: an allowed audience of that provider; the provider itself where this is left out.",
            "\"writ\"",
        ),
        optional("subject", "text", "target", "Whom assertions name: the `target`, or the `workload`.", "\"workload\""),
        optional(
            "delegates",
            "list of texts",
            "[]",
            "Service accounts to act through, the first one first.",
            "[\"writ-hub@acme-prod.iam.gserviceaccount.com\"]",
        ),
        optional(
            "max_lifetime_seconds",
            "number",
            "3600",
            "The longest token, 60 to 43200: at most 3600 unless the organization lets the account have more.",
            "900",
        ),
        optional(
            "sts_endpoint",
            "text",
            "",
            "Where STS is, if not where Google has it: a Private Service Connect endpoint.",
            "\"https://sts-writ.p.googleapis.com\"",
        ),
        optional("iam_endpoint", "text", "", "The same of the IAM credentials service.", "\"https://iam.internal\""),
        optional(
            "tokeninfo_endpoint",
            "text",
            "",
            "The same of the service that says what a token is.",
            "\"https://oauth2.internal\"",
        ),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call to Google, 100 to 60000.",
            "2000",
        ),
    ],
};

/// `[broker.target.provider.cloudsql]`.
pub(super) const CLOUDSQL: Table = Table {
    head: "[broker.target.provider.cloudsql]",
    about: "Logins to PostgreSQL at Cloud SQL; see [the provider `cloudsql`](providers/cloudsql.md).",
    settings: &[
        ACCOUNT,
        ACCOUNTS,
        optional(
            "federation",
            "table",
            "",
            "How Google knows who asks: as `[broker.target.provider.gcp.federation]`.",
            "",
        ),
    ],
};

/// `[broker.target.provider.gke]`.
pub(super) const GKE: Table = Table {
    head: "[broker.target.provider.gke]",
    about: "Tokens for GKE clusters; see [GKE](providers/gcp.md#gke).",
    settings: &[
        ACCOUNT,
        ACCOUNTS,
        optional(
            "federation",
            "table",
            "",
            "How Google knows who asks: as `[broker.target.provider.gcp.federation]`.",
            "",
        ),
    ],
};
