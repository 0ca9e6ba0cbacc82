//! The settings of issuers: those whose tokens are accepted, and the broker as one itself.

use super::{Table, optional, required};

/// `[[broker.issuer]]`.
pub(super) const ISSUER: Table = Table {
    head: "[[broker.issuer]]",
    about: "An OIDC issuer whose tokens are accepted.",
    settings: &[
        required("name", "text", "What the operator calls it, in messages and metrics.", "\"ci\""),
        optional(
            "preset",
            "text",
            "",
            "What is known of this issuer: then address, algorithms and limits need not be given, and tokens must have its form. `github-actions`, `kubernetes`, `gitlab`, `aws`, `aws-caller`, `gcp`, `azure`, `spiffe`, `buildkite`, `circleci`, `bitbucket` or `terraform-cloud`; see [issuers](issuers/README.md).",
            "\"github-actions\"",
        ),
        optional(
            "tenant",
            "text",
            "",
            "Whose issuer it is, where the preset's differ by customer: GitHub's enterprise slug, CircleCI's organization, Bitbucket's workspace, Entra's directory, SPIFFE's trust domain.",
            "\"octo-enterprise\"",
        ),
        optional(
            "issuer",
            "text",
            "",
            "The `iss` claim, byte by byte: a trailing slash matters. Needed where no preset knows it.",
            "\"https://token.actions.githubusercontent.com\"",
        ),
        optional(
            "audiences",
            "list of texts",
            "[]",
            "The audiences that its tokens may be for, instead of the gateway group's.",
            "[\"payments\"]",
        ),
        optional(
            "algorithms",
            "list of texts",
            "[]",
            "The algorithms that it signs with, of `RS256`, `PS256`, `ES256`, `ES384`, `EdDSA`. Never taken from the token. Needed where no preset knows them.",
            "[\"RS256\", \"PS256\", \"ES256\", \"ES384\", \"EdDSA\"]",
        ),
        optional(
            "typ",
            "list of texts",
            "[\"absent\", \"JWT\", \"JOSE\"]",
            "The types that its tokens' headers may have; `absent` stands for none.",
            "[\"absent\", \"JWT\"]",
        ),
        optional(
            "authorized_parties",
            "list of texts",
            "[]",
            "The `azp` claims that are accepted. Empty: `azp` is not looked at.",
            "[\"runner\"]",
        ),
        optional(
            "max_lifetime",
            "duration",
            "",
            "The longest life (`exp` less `iat`) that is accepted. Left out: the preset's own, or 1h.",
            "\"30m\"",
        ),
        optional(
            "max_age",
            "duration",
            "",
            "The greatest age (now less `iat`) that is accepted. Left out: `max_lifetime` alone bounds it.",
            "\"10m\"",
        ),
        optional("leeway", "duration", "30s", "How far clocks may differ, at most 5m.", "\"10s\""),
        optional(
            "require_jti",
            "true or false",
            "false",
            "Whether a token without `jti` is refused. Otherwise its digest tells it from others.",
            "true",
        ),
        optional(
            "jwks",
            "text",
            "",
            "Its keys as a JWK set in JSON. Then nothing is fetched. Not together with `jwks_file` or `jwks_url`.",
            "'{\"keys\": []}'",
        ),
        optional(
            "jwks_file",
            "path",
            "",
            "A file with its keys as a JWK set in JSON. Then nothing is fetched.",
            "\"jwks.json\"",
        ),
        optional(
            "jwks_url",
            "text",
            "",
            "The address of its JWK set, where it has no discovery document, or of its SPIFFE bundle.",
            "\"https://spire.example/bundle\"",
        ),
        optional(
            "jwks_hosts",
            "list of texts",
            "[]",
            "Further hosts, `host` or `host:port`, that its discovery document may name for its keys.",
            "[\"keys.example\"]",
        ),
        optional(
            "ca_pem_file",
            "path",
            "",
            "PEM certificates of the authorities that may vouch for it, instead of the system's.",
            "\"issuer-ca.pem\"",
        ),
        optional(
            "internal",
            "true or false",
            "false",
            "Whether it may have an address inside: private, link-local, loopback.",
            "true",
        ),
        optional(
            "allow_http_loopback",
            "true or false",
            "false",
            "Whether it may be fetched over plain HTTP from a loopback address. For development.",
            "true",
        ),
        optional("cache", "table", "", "How its keys are kept: `[broker.issuer.cache]`.", "{}"),
        optional(
            "review",
            "table",
            "",
            "The API server that is asked about each token, for the preset `kubernetes`: `[broker.issuer.review]`.",
            "{ url = \"https://kubernetes.default.svc\", token_file = \"token\" }",
        ),
        optional(
            "regions",
            "list of texts",
            "[]",
            "The regions whose STS endpoints workloads sign for. The preset `aws-caller` needs it.",
            "[\"eu-west-1\"]",
        ),
        optional(
            "accounts",
            "list of texts",
            "[]",
            "The AWS accounts whose roles and users count. The preset `aws-caller` needs it.",
            "[\"123456789012\"]",
        ),
        optional(
            "endpoint_spiffe_id",
            "text",
            "",
            "The SPIFFE ID of the trust domain's bundle endpoint, where its certificate is an X.509-SVID; `jwks_file` holds the first bundle.",
            "\"spiffe://prod.example.org/spire/server\"",
        ),
        optional(
            "x509_svids",
            "true or false",
            "false",
            "Whether the trust domain's X.509-SVIDs are taken at `/v1/token`, beside its JWT-SVIDs; for the preset `spiffe`.",
            "true",
        ),
    ],
};

/// `[broker.issuer.review]`.
pub(super) const REVIEW: Table = Table {
    head: "[broker.issuer.review]",
    about: "The API server that is asked about each token of a cluster's (TokenReview); see [Kubernetes](issuers/kubernetes.md).",
    settings: &[
        required(
            "url",
            "text",
            "The API server's address, without a path. It may be inside.",
            "\"https://kubernetes.default.svc\"",
        ),
        optional(
            "ca_file",
            "path",
            "",
            "PEM certificates of the authorities that may vouch for it, instead of the system's.",
            "\"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt\"",
        ),
        required(
            "token_file",
            "path",
            "The file with the broker's own token, read anew for each question.",
            "\"/var/run/secrets/kubernetes.io/serviceaccount/token\"",
        ),
        optional(
            "alone",
            "true or false",
            "false",
            "Whether the API server alone checks the signature: then no keys are fetched.",
            "true",
        ),
    ],
};

/// `[broker.issues]`.
pub(super) const ISSUES: Table = Table {
    head: "[broker.issues]",
    about: "The broker as an OIDC issuer for targets; see [Writ as an issuer](issuer.md).",
    settings: &[
        optional(
            "url",
            "text",
            "",
            "The issuer's address, without a slash at its end, where targets find its two documents. Left out: `broker.url`.",
            "\"https://writ-issuer.s3.eu-west-1.amazonaws.com/prod\"",
        ),
        optional(
            "algorithm",
            "text",
            "ES256",
            "What its keys are: `ES256`, or `RS256`, which Entra needs.",
            "\"RS256\"",
        ),
        optional(
            "token_life",
            "duration",
            "300s",
            "How long an assertion lives, unless its writ ends sooner; 1m to 1h.",
            "\"2m\"",
        ),
        optional("key_life", "duration", "90d", "How old the newest key gets before another is made.", "\"30d\""),
        optional(
            "key_announce",
            "duration",
            "1d",
            "How long a key is published before it signs: longer than targets keep the keys that they fetched.",
            "\"2d\"",
        ),
        optional(
            "kms_key",
            "text",
            "",
            "The key in a cloud's key management service that signs, instead of keys in the broker's state: an ARN at AWS, `projects/.../cryptoKeyVersions/1` at Google, the identifier with its version in Azure Key Vault (`https://NAME.vault.azure.net/keys/KEY/VERSION`). It says what `algorithm` is; `key_life` and `key_announce` have no effect.",
            "\"arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"",
        ),
        optional(
            "kms_other_keys",
            "list of texts",
            "[]",
            "Keys there that are published and do not sign: those of before, and the next one.",
            "[\"arn:aws:kms:eu-west-1:123456789012:key/0987dcba-09fe-87dc-65ba-ab0987654321\"]",
        ),
        optional(
            "kms_endpoint",
            "text",
            "",
            "Where that service is, if not where its cloud has it: a VPC endpoint.",
            "\"https://vpce-0123.kms.eu-west-1.vpce.amazonaws.com\"",
        ),
    ],
};

/// `[broker.issuer.cache]`.
pub(super) const CACHE: Table = Table {
    head: "[broker.issuer.cache]",
    about: "How fetched keys are kept.",
    settings: &[
        optional(
            "min_fresh",
            "duration",
            "60s",
            "Keys count as fresh at least this long, whatever the issuer says.",
            "\"1m\"",
        ),
        optional(
            "max_fresh",
            "duration",
            "1h",
            "Keys count as fresh at most this long, whatever the issuer says.",
            "\"30m\"",
        ),
        optional(
            "max_stale",
            "duration",
            "6h",
            "Keys are used at most this long after they were fetched, if the issuer cannot be reached.",
            "\"2h\"",
        ),
        optional(
            "fetch_interval",
            "duration",
            "10s",
            "The least time between two fetches, whatever tokens arrive; at least 1s.",
            "\"20s\"",
        ),
    ],
};
