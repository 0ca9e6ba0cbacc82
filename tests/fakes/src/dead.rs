//! Services that never answer, or that nobody runs.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use writ_world::postgres::free_port;

/// Takes connections, keeps them open and says nothing, until it is dropped.
#[derive(Debug)]
pub struct Silent {
    port: u16,
    over: Arc<AtomicBool>,
}

impl Silent {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// If there is none.
    pub fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no port: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                held.extend(stream);
            }
        });
        Ok(Self { port, over })
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // The thread waits for one more connection.
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A port of loopback where nobody listens: connections are refused.
///
/// # Errors
/// If there is none.
pub fn refusing() -> Result<u16, String> {
    free_port()
}
