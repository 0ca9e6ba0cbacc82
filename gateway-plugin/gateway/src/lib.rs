//! The tokio shell of the gateway: listener, one driver for each wire crate, shutdown.
