//! The settings of AWS's three providers.

use super::{Setting, Table, optional, required};

const REGION: Setting =
    required("region", "text", "The region, of the partition `aws`, `aws-cn` or `aws-us-gov`.", "\"eu-west-1\"");

const ROLE: Setting = optional(
    "role_arn",
    "text",
    "",
    "The role of sessions for which policy names none.",
    "\"arn:aws:iam::123456789012:role/reports\"",
);

const ROLES: Setting = optional(
    "roles",
    "table of texts",
    "{}",
    "Roles by the names that policies give them (`@role`). No other role is given.",
    "{ writer = \"arn:aws:iam::123456789012:role/reports-writer\" }",
);

const ASSUME: Setting =
    optional("assume", "table", "", "How roles are assumed: `[broker.target.provider.aws.assume]`.", "");

/// `[broker.target.provider.aws]`.
pub(super) const AWS: Table = Table {
    head: "[broker.target.provider.aws]",
    about: "Sessions of AWS roles, by STS; see [the provider `aws`](providers/aws.md).",
    settings: &[
        REGION,
        ROLE,
        ROLES,
        optional(
            "scopes",
            "table of lists of tables",
            "{}",
            "What sessions may do, by the names that policies give it (`@scope`): `[[broker.target.provider.aws.scopes.NAME]]`. A session never gets more than its scope and its role both allow.",
            "",
        ),
        optional(
            "scope_files",
            "table of paths",
            "{}",
            "The same as IAM policies in JSON files.",
            "{ audit = \"scopes/audit.json\" }",
        ),
        optional("default_scope", "text", "", "The scope of sessions for which policy names none.", "\"read\""),
        ASSUME,
    ],
};

/// `[[broker.target.provider.aws.scopes.NAME]]`.
pub(super) const STATEMENT: Table = Table {
    head: "[[broker.target.provider.aws.scopes.NAME]]",
    about: "One statement of a scope.",
    settings: &[
        required(
            "actions",
            "list of texts",
            "Actions, as `service:Action`; `*` stands for any characters.",
            "[\"s3:GetObject\"]",
        ),
        required(
            "resources",
            "list of texts",
            "Resources, as ARNs; `*` stands for any characters.",
            "[\"arn:aws:s3:::reports/*\"]",
        ),
        optional(
            "conditions",
            "table of tables of lists of texts",
            "{}",
            "Conditions: operator, then key, then values.",
            "{ Bool = { \"aws:SecureTransport\" = [\"true\"] } }",
        ),
    ],
};

/// `[broker.target.provider.aws.assume]`.
pub(super) const ASSUMED: Table = Table {
    head: "[broker.target.provider.aws.assume]",
    about: "How roles are assumed. The same in `rds` and `eks`.",
    settings: &[
        optional(
            "by",
            "text",
            "issuer",
            "By what AWS knows who asks: `issuer`, an assertion of Writ's own; `workload`, the workload's own token; `broker`, the identity that the broker's process has at AWS.",
            "\"issuer\"",
        ),
        optional(
            "audience",
            "text",
            "sts.amazonaws.com",
            "Whom assertions are for: a client id of the account's OIDC provider.",
            "\"sts.amazonaws.com\"",
        ),
        optional("subject", "text", "target", "Whom assertions name: the `target`, or the `workload`.", "\"workload\""),
        optional(
            "external_id",
            "text",
            "",
            "What the roles' trust policies expect in `sts:ExternalId`. Only with `by = \"broker\"`.",
            "\"writ-prod\"",
        ),
        optional(
            "tags",
            "table of texts",
            "{}",
            "Session tags beside Writ's own. Not with `by = \"workload\"`.",
            "{ team = \"payments\" }",
        ),
        optional(
            "max_duration_seconds",
            "number",
            "3600",
            "The longest session, 900 to 43200: at most the roles' own maximum. AWS gives none of less than 900, nor of more than 3600 to a broker that is a role itself.",
            "7200",
        ),
        optional(
            "revoker",
            "text",
            "",
            "The role that may take sessions back; the broker's own identity where this is left out.",
            "\"arn:aws:iam::123456789012:role/writ-revoker\"",
        ),
        optional(
            "endpoint",
            "text",
            "",
            "Where STS is, if not where AWS has it: a VPC endpoint.",
            "\"https://vpce-0123.sts.eu-west-1.vpce.amazonaws.com\"",
        ),
        optional("iam_endpoint", "text", "", "The same of IAM.", "\"https://iam.internal\""),
        optional("call_timeout_ms", "milliseconds", "5000", "Longest time for one call to AWS, 100 to 60000.", "2000"),
    ],
};

/// `[broker.target.provider.rds]`.
pub(super) const RDS: Table = Table {
    head: "[broker.target.provider.rds]",
    about: "Login tokens of RDS and Aurora; see [the provider `rds`](providers/rds.md).",
    settings: &[
        REGION,
        optional(
            "user",
            "text",
            "",
            "The database's user of sessions for which policy names none. It is granted `rds_iam`.",
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
            "endpoint_host",
            "text",
            "",
            "The endpoint's own name, as RDS lists it, where the gateway reaches it by another.",
            "\"payments.abcdefghijkl.eu-west-1.rds.amazonaws.com\"",
        ),
        optional("endpoint_port", "number", "", "Its port there.", "5432"),
        optional(
            "resource_id",
            "text",
            "",
            "The database's resource id: sessions of the role can log in to no other.",
            "\"db-ABCDEFGHIJKLMNOPQRSTUVWXYZ\"",
        ),
        optional(
            "role_arn",
            "text",
            "",
            "The role whose sessions sign; the broker's own identity where this is left out.",
            "\"arn:aws:iam::123456789012:role/payments-login\"",
        ),
        optional("assume", "table", "", "How that role is assumed: as `[broker.target.provider.aws.assume]`.", ""),
    ],
};

/// `[broker.target.provider.eks]`.
pub(super) const EKS: Table = Table {
    head: "[broker.target.provider.eks]",
    about: "Tokens for EKS clusters; see [the provider `aws`](providers/aws.md).",
    settings: &[
        REGION,
        required("cluster", "text", "The cluster's name.", "\"prod\""),
        ROLE,
        ROLES,
        optional("assume", "table", "", "How roles are assumed: as `[broker.target.provider.aws.assume]`.", ""),
    ],
};
