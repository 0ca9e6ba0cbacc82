//! The settings, in the words of whoever configures. Data alone.

mod aws;
mod azure;
mod gcp;
mod github;
mod issuers;
mod kubernetes;
mod mysql;
mod openbao;
mod sources;
mod ssh;

use super::{Setting, Table};

const fn required(name: &'static str, kind: &'static str, meaning: &'static str, example: &'static str) -> Setting {
    Setting { name, kind, default: None, meaning, example }
}

const fn optional(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    meaning: &'static str,
    example: &'static str,
) -> Setting {
    Setting { name, kind, default: Some(default), meaning, example }
}

/// Every table, in the order of the reference. A table in a setting of its own has an empty example.
pub(super) const TABLES: &[Table] = &[
    Table {
        head: "top level",
        about: "The roles and the log. At least one of `broker` and `gateway` is given.",
        settings: &[
            optional("broker", "table", "", "The broker, for `writ broker` and `writ serve`.", ""),
            optional("gateway", "table", "", "The gateway, for `writ gateway` and `writ serve`.", ""),
            optional(
                "link",
                "table",
                "",
                "The gateway's link to its broker, its state and its spool. A gateway needs it.",
                "",
            ),
            optional("telemetry", "table", "", "Where health and metrics are served, beside the broker's API.", ""),
            optional("log", "table", "", "How to log.", ""),
        ],
    },
    Table {
        head: "[broker]",
        about: "Verifies workloads, decides, mints, keeps the evidence.",
        settings: &[
            required("listen", "address:port", "Where the API listens.", "\"127.0.0.1:8443\""),
            required(
                "url",
                "text",
                "The API's URL as gateways and humans reach it, `https://host:port`, without a path.",
                "\"https://broker.example:8443\"",
            ),
            optional(
                "names",
                "list of texts",
                "[]",
                "The names and addresses in the API's own certificate, beside the host in `url`.",
                "[\"localhost\"]",
            ),
            required("state", "path", "The directory of keys, store, ledger and recordings.", "\"state\""),
            required(
                "policies",
                "path",
                "The directory of `*.cedar` policies and `*.mask.toml` sets of masks.",
                "\"policies\"",
            ),
            required(
                "audience",
                "text",
                "The audience that workloads' tokens must be for: the name of this group of gateways.",
                "\"writ\"",
            ),
            optional(
                "issuer",
                "list of tables",
                "[]",
                "The issuers whose tokens are accepted: `[[broker.issuer]]`.",
                "",
            ),
            optional(
                "issues",
                "table",
                "",
                "The broker as an issuer itself, for targets that trust one: `[broker.issues]`; without it no target is shown an assertion.",
                "",
            ),
            optional("target", "list of tables", "[]", "What workloads may reach: `[[broker.target]]`.", ""),
            optional("humans", "table", "", "How humans log in; without it only the admin token opens the API.", ""),
            optional(
                "admin_token_file",
                "path",
                "",
                "The file with a token that may do everything. For the first steps; remove it afterwards.",
                "\"admin.token\"",
            ),
            optional("session_token_life", "duration", "5m", "The life of session tokens, at most 1h.", "\"2m\""),
            optional(
                "session_token_key_life",
                "duration",
                "30d",
                "How long one key signs session tokens, at most 366 days. Tokens by the one before stay good until they end.",
                "\"7d\"",
            ),
            optional(
                "max_ttl",
                "duration",
                "12h",
                "The longest session, whatever policies say; at most 7 days.",
                "\"8h\"",
            ),
            optional(
                "gateway_certificate_life",
                "duration",
                "24h",
                "The life of a gateway's certificate, at most 30 days; it renews at half of it.",
                "\"12h\"",
            ),
            optional(
                "provider_timeout",
                "duration",
                "10s",
                "How long a provider may take to mint or revoke, at most 2m.",
                "\"5s\"",
            ),
            optional(
                "gateway_lost",
                "duration",
                "2m",
                "How long a gateway may be unheard before its sessions count as ended, at most 24h. Longer than any gateway's `broker_grace`.",
                "\"3m\"",
            ),
            optional("max_segment_bytes", "bytes", "67108864", "The longest segment of a recording.", "1048576"),
            optional(
                "max_clock_step",
                "duration",
                "10s",
                "By how much the wall clock may step against the monotonic one before nothing is issued any more, at most 1h.",
                "\"5s\"",
            ),
            optional("rates", "table", "", "How often each gateway and each address may ask.", ""),
            optional("webhook", "list of tables", "[]", "Who hears of approvals: `[[broker.webhook]]`.", ""),
        ],
    },
    Table {
        head: "[broker.rates]",
        about: "What each caller may ask for in a second; ten seconds' worth may come at once. What is over is refused with status 429; the first in a minute is in the ledger.",
        settings: &[
            optional("sessions", "number", "500", "Sessions that one gateway asks for with good tokens.", "100"),
            optional("refusals", "number", "50", "Tokens that one gateway shows and that are refused.", "10"),
            optional(
                "exchanges",
                "number",
                "50",
                "Requests to `/v1/token` from one address; of IPv6, from one /64.",
                "200",
            ),
            optional("enrolments", "number", "5", "Attempts to join as a gateway from one address.", "1"),
            optional(
                "revocations",
                "number",
                "200",
                "Credentials that are taken back at one target; what is more waits.",
                "10",
            ),
        ],
    },
    Table {
        head: "[[broker.webhook]]",
        about: "A receiver that hears of each question to approvers and of what it came to, signed as Standard Webhooks says.",
        settings: &[
            required("name", "text", "What the operator calls it, in messages.", "\"on-call\""),
            required("url", "text", "Where it is told: HTTPS, or HTTP at loopback.", "\"https://hooks.example/writ\""),
            required(
                "secret_file",
                "path",
                "The secret that signs, 24 bytes or more; for `pagerduty` the integration's routing key.",
                "\"/etc/writ/on-call.secret\"",
            ),
            optional("format", "text", "json", "`json`, `slack`, `teams` or `pagerduty`.", "\"slack\""),
            optional(
                "answers",
                "table",
                "",
                "Whose answers are taken there, at `/v1/webhooks/NAME/answers`; nobody's where it is left out.",
                "",
            ),
        ],
    },
    Table {
        head: "[broker.webhook.answers]",
        about: "Answers that people give in the channel; not for `json`.",
        settings: &[
            required(
                "secret_file",
                "path",
                "What the channel signs with, 24 bytes or more: Slack's signing secret, the token of Teams' outgoing webhook, the secret of PagerDuty's subscription.",
                "\"/etc/writ/slack.signing\"",
            ),
            required(
                "people",
                "list of tables",
                "Which humans its users are: `[[broker.webhook.answers.people]]`.",
                "",
            ),
        ],
    },
    Table {
        head: "[[broker.webhook.answers.people]]",
        about: "A human whom the channel knows.",
        settings: &[
            required("id", "text", "The channel's id of them.", "\"U024BE7LH\""),
            required(
                "issuer",
                "text",
                "The issuer that vouches for them when they log in.",
                "\"https://login.example\"",
            ),
            required("subject", "text", "Their subject there.", "\"ann\""),
            optional("groups", "list of texts", "[]", "The groups that they are in.", "[\"dba\"]"),
        ],
    },
    issuers::ISSUER,
    issuers::ISSUES,
    issuers::CACHE,
    issuers::REVIEW,
    Table {
        head: "[[broker.target]]",
        about: "A target that workloads may reach, if a policy permits.",
        settings: &[
            required("name", "text", "Its name, which clients give as the user name.", "\"payments\""),
            optional("labels", "table of texts", "{}", "Its labels, for policies.", "{ environment = \"production\" }"),
            optional(
                "protocol",
                "text",
                "postgres",
                "What it speaks: `postgres`, `mysql`, `aws`, `kubernetes`, `gcp`, `azure`, `ssh` or `github`.",
                "\"postgres\"",
            ),
            required("host", "text", "Its host name or address.", "\"payments.internal\""),
            optional(
                "port",
                "number",
                "",
                "Its port: 5432 for `postgres`, 3306 for `mysql`, 22 for `ssh`, 443 for the others.",
                "5433",
            ),
            optional(
                "tls",
                "text",
                "verify-full",
                "`verify-full`, or `disable` for a loopback address.",
                "\"verify-full\"",
            ),
            optional(
                "ca_file",
                "path",
                "",
                "PEM certificates of the authorities that may vouch for it; the system's where this is left out.",
                "\"target-ca.pem\"",
            ),
            required("provider", "table", "What mints for it: one table, named after the provider.", ""),
        ],
    },
    Table {
        head: "[broker.target.provider.database]",
        about: "A PostgreSQL role for each writ.",
        settings: &[
            required(
                "user",
                "text",
                "The broker's own login at the server: CREATEROLE, and ADMIN OPTION on each role that it grants.",
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
                "\"PAYMENTS_PASSWORD\"",
            ),
            optional("database", "text", "postgres", "The database to log in to.", "\"payments\""),
            optional(
                "host",
                "text",
                "",
                "Where the broker reaches the server, if not where the gateway does.",
                "\"10.0.0.5\"",
            ),
            optional("port", "number", "", "Its port there.", "5434"),
            optional(
                "default_roles",
                "list of texts",
                "[]",
                "Roles that every writ's role becomes a member of, besides the one that policy grants. Where policy grants none, sessions act as the first of these.",
                "[\"readers\"]",
            ),
            optional(
                "scram_iterations",
                "number",
                "1",
                "Iterations in the SCRAM verifier, 1 to 100000. The password is 256 random bits, so stretching gains nothing.",
                "4096",
            ),
            optional(
                "pool_size",
                "number",
                "4",
                "Connections to the server at most, 1 to 64; each may open one more while it gives objects away in another database.",
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
    },
    mysql::MYSQL,
    sources::STATIC,
    sources::AWS,
    sources::KUBERNETES,
    aws::AWS,
    aws::STATEMENT,
    aws::ASSUMED,
    aws::RDS,
    aws::EKS,
    kubernetes::KUBERNETES,
    kubernetes::ASSERTION,
    kubernetes::EKS,
    azure::AKS,
    azure::AZURE,
    azure::ENTRA,
    azure::DATABASE,
    openbao::OPENBAO,
    openbao::KV,
    openbao::DYNAMIC,
    kubernetes::GKE,
    gcp::GCP,
    gcp::SCOPE,
    gcp::RULE,
    gcp::FEDERATION,
    gcp::CLOUDSQL,
    gcp::GKE,
    ssh::SSH,
    ssh::TERMS,
    github::GITHUB,
    github::SCOPE,
    Table {
        head: "[broker.humans]",
        about: "How humans log in.",
        settings: &[
            required("issuer", "table", "The issuer of their tokens, with the settings of `[[broker.issuer]]`.", ""),
            required(
                "client_id",
                "text",
                "The public client's id at the issuer: the audience of their tokens.",
                "\"writ-cli\"",
            ),
            optional(
                "max_auth_age",
                "duration",
                "",
                "How long ago who answers an approval may have logged in, by `auth_time` or else `iat`; as long as their token lives where it is left out.",
                "\"1h\"",
            ),
        ],
    },
    Table {
        head: "[gateway]",
        about: "Takes clients' connections, enforces, records.",
        settings: &[
            required("listeners", "list of tables", "Where clients connect: `[[gateway.listeners]]`.", ""),
            optional("workers", "number", "", "How many worker threads; one for each core where it is left out.", "2"),
            optional(
                "login_timeout",
                "duration",
                "30s",
                "How long a login may take, from the first byte to the target's answer.",
                "\"20s\"",
            ),
            optional("idle_timeout", "duration", "1h", "How long a session may be idle.", "\"30m\""),
            optional("drain_timeout", "duration", "30s", "How long a shutdown waits for sessions.", "\"10s\""),
            optional("max_sessions", "number", "10000", "The most sessions at one time.", "500"),
            optional(
                "max_pending",
                "number",
                "1000",
                "The most connections at one time that have not logged in.",
                "50",
            ),
            optional("cancel_rate", "number", "100", "The most cancel requests in a second.", "10"),
        ],
    },
    Table {
        head: "[[gateway.listeners]]",
        about: "One address that clients connect to.",
        settings: &[
            required("listen", "address:port", "Where it listens; port 0 takes a free one.", "\"127.0.0.1:6432\""),
            optional(
                "auth",
                "text",
                "password",
                "How clients show their token: `password`, or `oauthbearer` for SASL. A client chooses for itself with `-c writ.auth=...`.",
                "\"oauthbearer\"",
            ),
            optional(
                "oauth",
                "table",
                "",
                "Where clients may get a token, told to those that use `oauthbearer`. Needed with `auth = \"oauthbearer\"`.",
                "{ issuer = \"https://login.example\", scope = \"openid\" }",
            ),
            optional(
                "certificate",
                "table",
                "",
                "What clients verify: `chain` and `key`, PEM files. The broker's authority gives one where both run in one process.",
                "{ chain = \"chain.pem\", key = \"key.pem\" }",
            ),
            optional(
                "allow_plain_loopback",
                "true or false",
                "false",
                "Whether a client on loopback may show its token without TLS. For development.",
                "true",
            ),
            optional(
                "proxy_protocol_from",
                "list of addresses and networks",
                "[]",
                "Peers, such as load balancers, that must begin with a PROXY header, version 2. Other peers must not.",
                "[\"10.0.0.0/8\", \"fd00::1\"]",
            ),
        ],
    },
    Table {
        head: "[gateway.listeners.oauth]",
        about: "What a client that uses `oauthbearer` and has no token is told (RFC 7628).",
        settings: &[
            required(
                "issuer",
                "text",
                "The issuer as its discovery document names it, or that document's URL. https; plain http on loopback only.",
                "\"https://login.example\"",
            ),
            required("scope", "text", "The scopes to ask for, with blanks between them.", "\"openid\""),
        ],
    },
    Table {
        head: "[gateway.listeners.certificate]",
        about: "A certificate and its key.",
        settings: &[
            required("chain", "path", "The chain in PEM, leaf first.", "\"chain.pem\""),
            required("key", "path", "The key in PEM.", "\"key.pem\""),
        ],
    },
    Table {
        head: "[link]",
        about: "How a gateway reaches its broker, and what it keeps.",
        settings: &[
            required(
                "state",
                "path",
                "The directory of the gateway's identity, spool and outbox.",
                "\"gateway-state\"",
            ),
            optional(
                "broker",
                "text",
                "",
                "The broker's URL. Left out where the broker runs in the same process.",
                "\"https://broker.example:8443\"",
            ),
            optional(
                "broker_ca_file",
                "path",
                "",
                "The certificate of the broker's authority. Left out where the broker runs in the same process.",
                "\"ca.pem\"",
            ),
            optional(
                "join_token_file",
                "path",
                "",
                "The file with a join token, for the first start.",
                "\"join.token\"",
            ),
            optional(
                "strict",
                "true or false",
                "false",
                "Whether what is recorded waits for the disk before anything is forwarded.",
                "true",
            ),
            optional(
                "spool_bytes",
                "bytes",
                "4294967296",
                "The most bytes that the spool may hold on disk.",
                "1073741824",
            ),
            optional(
                "broker_grace",
                "duration",
                "1m",
                "How long live sessions run on without the broker; `0s` ends them at once.",
                "\"30s\"",
            ),
            optional("request_timeout", "duration", "15s", "How long the broker may take to answer.", "\"5s\""),
        ],
    },
    Table {
        head: "[telemetry]",
        about: "Health and metrics in plain HTTP, for probes and scrapers beside the process; see `docs/metrics.md`. A gateway on its own has no other API.",
        settings: &[required(
            "listen",
            "address:port",
            "Where `/healthz`, `/readyz` and `/metrics` listen: loopback, or an inner network.",
            "\"127.0.0.1:9464\"",
        )],
    },
    Table {
        head: "[log]",
        about: "How to log. No token, secret or statement is logged.",
        settings: &[
            optional("format", "text", "pretty", "`pretty` for people, `json` for machines.", "\"json\""),
            optional(
                "filter",
                "text",
                "",
                "What to log: `info`, `writ_broker=debug,info`. `info` where it is left out.",
                "\"writ_broker=debug,info\"",
            ),
        ],
    },
];
