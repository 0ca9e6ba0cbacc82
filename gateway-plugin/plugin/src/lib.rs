//! What a gateway embeds: client, session, gate, spool, upload, kill.

pub mod spool;
