//! What any gateway embeds: the broker's client, the gate, the spool, the upload of recordings, the kill switch.
//!
//! ```text
//! Plugin::start            enrol or read the identity, recover the spool, hold one stream to the broker
//! plugin.open(request)     the broker's eight steps; gives a session its credential, its policy and its keys
//! plugin.worker(index)     a WorkerGate for each worker thread: judge, commit, prove
//! plugin.register(session) resolves when the session must end
//! ```
//!
//! Read next: [`gate`], the seam between a verdict and what goes to the target.

pub mod approvals;
pub mod client;
pub mod gate;
pub mod identity;
mod link;
pub mod masks;
pub mod opening;
mod outbox;
pub mod plugin;
pub mod registry;
mod seal;
pub mod session;
pub mod settings;
pub mod spool;
mod upload;

pub use gate::{Judged, SessionGate, WorkerGate};
pub use plugin::Plugin;
pub use registry::{Ending, LiveSession};
pub use session::Admitted;
pub use settings::PluginSettings;
