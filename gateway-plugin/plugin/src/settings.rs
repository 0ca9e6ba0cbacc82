//! What bounds a plugin.

use std::path::PathBuf;
use std::time::Duration;

/// A plugin's settings.
#[derive(Debug, Clone)]
pub struct PluginSettings {
    /// The broker's URL, `https://...`.
    pub broker: String,
    /// The certificate of the broker's authority (PEM), pinned.
    pub broker_ca_pem: String,
    /// The directory for identity, spool and outbox; private to the gateway.
    pub state: PathBuf,
    /// The file with a join token, for the first start.
    pub join_token_file: Option<PathBuf>,
    /// Whether what is recorded waits for the disk before anything is forwarded.
    pub strict: bool,
    /// The most bytes that the spool may hold on disk.
    pub spool_bytes: u64,
    /// After how many bytes a worker begins a new spool file.
    pub spool_file_bytes: u64,
    /// How long a segment may grow before it is sealed.
    pub segment_age: Duration,
    /// How many segments are uploaded at once.
    pub uploads: usize,
    /// How long live sessions run on without the broker.
    pub broker_grace: Duration,
    /// How long the broker may take to answer.
    pub request_timeout: Duration,
}

impl PluginSettings {
    /// Settings for a broker, with the defaults for everything else.
    #[must_use]
    pub fn new(broker: String, broker_ca_pem: String, state: PathBuf) -> Self {
        Self {
            broker,
            broker_ca_pem,
            state,
            join_token_file: None,
            strict: false,
            spool_bytes: 4 << 30,
            spool_file_bytes: 64 << 20,
            segment_age: Duration::from_secs(30),
            uploads: 4,
            broker_grace: Duration::from_secs(60),
            request_timeout: Duration::from_secs(15),
        }
    }
}
