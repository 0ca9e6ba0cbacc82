//! The file of services that libpq reads (`PGSERVICEFILE`): where each target is, and no secret.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;
use crate::private;

/// Where a target is found.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    /// `TARGET` or `TARGET/ROLE`: the service's name, and the user's.
    pub name: String,
    /// The host: an address, or the directory of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database, where a client names none.
    pub database: String,
}

/// A written file; it goes when this is dropped.
pub(super) struct Services(PathBuf);

impl Services {
    /// Writes the file, for its owner alone. It must not be there: what somebody else wrote is not replaced.
    ///
    /// # Errors
    /// If it is there or cannot be written.
    pub(super) fn write(file: &Path, places: &[Place]) -> Result<Self, Failure> {
        private::create(file, text(places).as_bytes())?;
        Ok(Self(file.to_owned()))
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // One that somebody has removed already needs no removing.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn text(places: &[Place]) -> String {
    let mut text = "# Written by `writ listen`; it goes when that ends.\n".to_owned();
    for Place { name, host, port, database } in places {
        // On this machine there is no TLS to ask for: whatever PGSSLMODE says is for other servers.
        let _ = write!(text, "\n[{name}]\nhost={host}\nport={port}\nuser={name}\ndbname={database}\nsslmode=disable\n");
    }
    text
}
