//! The settings of the provider `openbao`.

use super::{optional, required};
use crate::commands::configuration::Table;

pub(super) const OPENBAO: Table = Table {
    head: "[broker.target.provider.openbao]",
    about: "A secret of an OpenBao or Vault that trusts the broker's own issuer (`[broker.issues]`); see [the provider](providers/openbao.md). Exactly one of `kv` and `dynamic` is written, and either `password_field` or `fields`.",
    settings: &[
        required(
            "address",
            "text",
            "Where OpenBao or Vault answers: `https://host:port`.",
            "\"https://bao.example:8200\"",
        ),
        optional(
            "ca_file",
            "path",
            "",
            "The certificate of the authority that vouches for it, in PEM: the system's authorities where this is left out.",
            "\"bao-ca.pem\"",
        ),
        optional(
            "namespace",
            "text",
            "",
            "The namespace that everything else is in: the root where this is left out.",
            "\"team-a\"",
        ),
        optional(
            "auth_mount",
            "text",
            "jwt",
            "Where the JWT method that trusts Writ's own issuer is mounted.",
            "\"jwt-writ\"",
        ),
        required("role", "text", "The role of that method that the broker logs in as.", "\"writ-orders\""),
        required(
            "audience",
            "text",
            "The audience that the role lists in `bound_audiences`.",
            "\"https://bao.example\"",
        ),
        optional("kv", "table", "", "A value of a KV engine, version 2. It outlives the writ.", ""),
        optional("dynamic", "table", "", "A secret that is made for the writ, with a lease.", ""),
        optional(
            "user",
            "text",
            "",
            "The user that the target knows, where the secret does not say it. This or `user_field`, with `password_field`.",
            "\"app\"",
        ),
        optional("user_field", "text", "", "The field of the secret that is the user.", "\"username\""),
        optional("password_field", "text", "", "The field of the secret that is the password.", "\"password\""),
        optional(
            "fields",
            "list of texts",
            "[]",
            "The fields that are given out together, as JSON, where a password alone is not enough.",
            "[\"access_key\", \"secret_key\"]",
        ),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call of the broker's, 100 to 60000.",
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

pub(super) const KV: Table = Table {
    head: "[broker.target.provider.openbao.kv]",
    about: "A value of a KV engine, version 2: the same for every writ.",
    settings: &[
        required("mount", "text", "Where the engine is mounted.", "\"secret\""),
        required("path", "text", "The secret's path in it, which a writ gets where policy names none.", "\"shop/app\""),
        optional(
            "paths",
            "list of texts",
            "[]",
            "The paths that policy may name (`@role`), besides that one.",
            "[\"shop/admin\"]",
        ),
        optional("version", "number", "", "The version: the newest where this is left out.", "3"),
    ],
};

pub(super) const DYNAMIC: Table = Table {
    head: "[broker.target.provider.openbao.dynamic]",
    about: "A secret that is made for the writ, with a lease.",
    settings: &[
        required(
            "path",
            "text",
            "What is asked for, with its mount; a writ gets it where policy names none.",
            "\"database/creds/orders-reader\"",
        ),
        optional(
            "paths",
            "list of texts",
            "[]",
            "The paths that policy may name (`@role`), besides that one.",
            "[\"database/creds/orders-owner\"]",
        ),
        optional(
            "parameters",
            "table",
            "",
            "What is asked with, for engines that want it. Where it is given, even empty, the request is a POST, else a GET.",
            "{ ip = \"192.0.2.7\" }",
        ),
        optional(
            "ends_when_revoked",
            "true or false",
            "false",
            "Whether the engine ends what it gave once the lease is revoked. Where it is not, a lease that cannot be renewed and would outlast the writ is refused.",
            "true",
        ),
        required(
            "notes",
            "text",
            "Where a KV engine, version 2, is mounted that is Writ's alone: in it stands which token belongs to which writ.",
            "\"writ\"",
        ),
    ],
};
