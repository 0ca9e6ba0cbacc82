//! Every path of the API, once.

/// Liveness. Open to all.
pub const HEALTHZ: &str = "/healthz";
/// Readiness: the ledger can be written. Open to all.
pub const READYZ: &str = "/readyz";
/// Prometheus metrics. Needs the `view` action.
pub const METRICS: &str = "/metrics";
/// The OpenAPI document. Open to all.
pub const OPENAPI: &str = "/openapi.json";
/// The discovery document of the broker as an issuer. Open to all.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The keys of the broker as an issuer. Open to all.
pub const JWKS: &str = "/.well-known/jwks.json";
/// RFC 8693 token exchange. The workload's token is the authentication.
pub const TOKEN: &str = "/v1/token";
/// A workload tries a target. Its token is the authentication.
pub const TRIALS: &str = "/v1/trials";
/// Targets, and what mints for them.
pub const TARGETS: &str = "/v1/targets";
/// Asks a target's provider whether a mint would work.
pub const TARGET_PROBE: &str = "/v1/targets/{target}/probe";
/// An operator takes back everything that was minted at a target until now.
pub const TARGET_REVOKE_OLDER: &str = "/v1/targets/{target}/revoke-older";
/// What SSH hosts must know of a target's authority.
pub const TARGET_SSH: &str = "/v1/targets/{target}/ssh";
/// An admin has a certificate of an SSH host signed.
pub const TARGET_SSH_HOSTS: &str = "/v1/targets/{target}/ssh/host-certificates";
/// The revocation list of an SSH authority, by the fingerprint of any of its keys. Open to all who know that.
pub const SSH_REVOCATIONS: &str = "/v1/ssh/{authority}/krl";
/// How humans log in: issuer and client id. Open to all.
pub const LOGIN: &str = "/v1/login";
/// Who the caller is and what it may do.
pub const ME: &str = "/v1/me";
/// A gateway joins, with a join token.
pub const GATEWAY_ENROL: &str = "/v1/gateways/enrol";
/// A gateway renews its certificate. mTLS.
pub const GATEWAY_RENEW: &str = "/v1/gateways/renew";
/// The broker's stream to a gateway. mTLS.
pub const GATEWAY_STREAM: &str = "/v1/gateways/stream";
/// A gateway tells which sessions live. mTLS.
pub const GATEWAY_SYNC: &str = "/v1/gateways/sync";
/// Gateways, for admins.
pub const GATEWAYS: &str = "/v1/gateways";
/// Revokes a gateway's certificate.
pub const GATEWAY_REVOKE: &str = "/v1/gateways/{gateway}/revoke";
/// Makes a join token.
pub const JOIN_TOKENS: &str = "/v1/join-tokens";
/// `POST` opens a session (mTLS); `GET` lists sessions.
pub const SESSIONS: &str = "/v1/sessions";
/// One session.
pub const SESSION: &str = "/v1/sessions/{session}";
/// A gateway closes a session. mTLS.
pub const SESSION_CLOSE: &str = "/v1/sessions/{session}/close";
/// An operator kills a session.
pub const SESSION_KILL: &str = "/v1/sessions/{session}/kill";
/// `PUT` stores a sealed segment (mTLS); `GET` reads it as stored.
pub const SEGMENT: &str = "/v1/sessions/{session}/segments/{stream}/{sequence}";
/// Gives an auditor the key to a session's recording; the reading is an event in the ledger.
pub const RECORDING_KEY: &str = "/v1/sessions/{session}/recording-key";
/// Writs.
pub const WRITS: &str = "/v1/writs";
/// One writ.
pub const WRIT: &str = "/v1/writs/{writ}";
/// An operator revokes a writ.
pub const WRIT_REVOKE: &str = "/v1/writs/{writ}/revoke";
/// `POST` asks humans about a held command.
pub const GATEWAY_APPROVALS: &str = "/v1/gateways/approvals";
/// `GET` says where a question of this gateway's stands; `DELETE` withdraws it.
pub const GATEWAY_APPROVAL: &str = "/v1/gateways/approvals/{approval}";
/// `POST` uses an approval, once.
pub const GATEWAY_APPROVAL_USE: &str = "/v1/gateways/approvals/{approval}/use";
/// `GET` lists what humans are asked.
pub const APPROVALS: &str = "/v1/approvals";
/// `GET` shows one question.
pub const APPROVAL: &str = "/v1/approvals/{approval}";
/// `POST` answers it.
pub const APPROVAL_VOTES: &str = "/v1/approvals/{approval}/votes";
/// `POST` lets what it is about go on by one human alone.
pub const APPROVAL_BREAK_GLASS: &str = "/v1/approvals/{approval}/break-glass";
/// `POST` takes an answer of a channel: Slack, Teams, PagerDuty. It is signed, and has no bearer.
pub const WEBHOOK_ANSWERS: &str = "/v1/webhooks/{webhook}/answers";
/// `POST` reviews that.
pub const APPROVAL_REVIEWS: &str = "/v1/approvals/{approval}/reviews";
/// `POST` freezes a workload, a target or everything; `GET` lists what is frozen.
pub const FREEZES: &str = "/v1/freezes";
/// `DELETE` lifts a freeze.
pub const FREEZE: &str = "/v1/freezes/{freeze}";
/// The newest checkpoint, a signed note.
pub const CHECKPOINT: &str = "/ledger/checkpoint";
/// The ledger's entries, as C2SP tlog-tiles lays them out: who did what, and why something was refused. Needs the `view`
/// action.
pub const LEDGER_ENTRIES: &str = "/ledger/tile/entries/{*path}";
/// The ledger's tiles of hashes, as C2SP tlog-tiles lays them out.
pub const LEDGER_TILE: &str = "/ledger/tile/{*path}";
