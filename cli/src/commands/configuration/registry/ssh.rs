//! SSH.

use super::super::Table;
use super::optional;

pub(super) const SSH: Table = Table {
    head: "[broker.target.provider.ssh]",
    about: "A user certificate of OpenSSH for each writ, signed by an authority of Writ's own; see [the provider](providers/ssh.md).",
    settings: &[
        optional("user", "text", "", "The account on the host of sessions for which policy names none.", "\"deploy\""),
        optional(
            "users",
            "table of texts",
            "{}",
            "Accounts by the names that policies give them (`@role`). No other account is given.",
            "{ operator = \"ops\" }",
        ),
        optional(
            "principals",
            "table of lists of texts",
            "{}",
            "What certificates name instead of the account, by account: for hosts whose `AuthorizedPrincipalsFile` says what that must be.",
            "{ deploy = [\"writ-deploy\"] }",
        ),
        optional(
            "source_addresses",
            "list of texts",
            "[]",
            "The networks from which certificates count, in CIDR form: those of the gateways. Empty: from everywhere.",
            "[\"192.0.2.0/24\"]",
        ),
        optional(
            "command",
            "text",
            "",
            "The one command of sessions for which policy names no scope, whatever they ask for. Left out: any.",
            "\"/usr/local/bin/deploy\"",
        ),
        optional(
            "permit",
            "list of texts",
            "[]",
            "What they may do beside running commands, of `pty`, `port-forwarding`, `agent-forwarding`, `x11-forwarding`, `user-rc`.",
            "[\"pty\"]",
        ),
        optional(
            "scopes",
            "table of tables",
            "{}",
            "What sessions may do, by the names that policies give it (`@scope`): `[broker.target.provider.ssh.scopes.NAME]`. Nothing of `command` and `permit` above holds for them.",
            "",
        ),
        optional(
            "max_life_seconds",
            "seconds",
            "900",
            "How long a certificate lives at most, 60 to 86400, unless its writ ends sooner. A session that is logged in lives on.",
            "300",
        ),
        optional(
            "authority",
            "text",
            "",
            "The name of the authority that signs; its key is in the broker's state. Targets of one name share it, and then a certificate for one counts at all. Left out: the target's own.",
            "\"fleet\"",
        ),
        optional(
            "other_authorities",
            "list of texts",
            "[]",
            "Authorities that hosts are told to trust too, and that sign nothing: the next, before it signs, and the former, until its certificates have ended.",
            "[\"fleet-2\"]",
        ),
    ],
};

pub(super) const TERMS: Table = Table {
    head: "[broker.target.provider.ssh.scopes.NAME]",
    about: "What sessions may do for which policy names this scope.",
    settings: &[
        optional(
            "command",
            "text",
            "",
            "The one command that they run, whatever they ask for. Left out: any.",
            "\"/usr/local/bin/backup\"",
        ),
        optional("permit", "list of texts", "[]", "What they may do beside running commands, as above.", "[\"pty\"]"),
        optional(
            "source_addresses",
            "list of texts",
            "[]",
            "The networks from which their certificates count: a part of the target's. Empty: all of those.",
            "[\"192.0.2.7\"]",
        ),
    ],
};
