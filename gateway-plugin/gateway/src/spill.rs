//! Commands that are too long for memory, on their way through a file that has no name.
//!
//! The file is sealed with a key that lives in this memory alone, so that nothing of a command stands in the clear on a
//! disk. The recording has its own copy; this one exists to be forwarded, and is gone with its handle.
//!
//! Never: hold more than one piece in memory; forward before [`Spill::release`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};

/// How many bytes of a command stand in one piece.
const PIECE: usize = 64 << 10;
const TAG: usize = 16;

struct Stored {
    command: CommandId,
    file: File,
    key: LessSafeKey,
    length: u64,
    pieces: u64,
    read: u64,
    buffer: Vec<u8>,
}

/// The long commands of one session.
#[derive(Default)]
pub struct Spill {
    stored: VecDeque<Stored>,
    going: VecDeque<Stored>,
}

fn lost(error: &dyn std::fmt::Display) -> Fault {
    Fault::new("gateway.spill", Blame::Ours, "the gateway could not store a long command")
        .help("check the space and the permissions of the temporary directory")
        .detail(error.to_string())
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    if let Some(place) = bytes.last_chunk_mut::<8>() {
        *place = number.to_be_bytes();
    }
    Nonce::assume_unique_for_key(bytes)
}

impl Stored {
    fn new(command: CommandId) -> Result<Self, Fault> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        rand::fill(secret.as_mut_slice()).map_err(|error| lost(&error))?;
        let key = UnboundKey::new(&AES_256_GCM, secret.as_slice()).map_err(|error| lost(&error))?;
        let file = tempfile::tempfile().map_err(|error| lost(&error))?;
        let key = LessSafeKey::new(key);
        Ok(Self { command, file, key, length: 0, pieces: 0, read: 0, buffer: Vec::new() })
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.key
            .seal_in_place_append_tag(nonce(self.pieces), Aad::empty(), &mut self.buffer)
            .map_err(|error| lost(&error))?;
        self.file.write_all(&self.buffer).map_err(|error| lost(&error))?;
        self.pieces += 1;
        self.buffer.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<u64, Fault> {
        let at = self.length;
        self.length = self.length.saturating_add(bytes.len() as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == PIECE {
                self.flush()?;
            }
        }
        Ok(at)
    }

    fn rewind(&mut self) -> Result<(), Fault> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.file.seek(SeekFrom::Start(0)).map(drop).map_err(|error| lost(&error))
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.read == self.pieces {
            return Ok(false);
        }
        let mut sealed = Vec::with_capacity(PIECE + TAG);
        let limit = (PIECE + TAG) as u64;
        (&self.file).take(limit).read_to_end(&mut sealed).map_err(|error| lost(&error))?;
        if sealed.is_empty() {
            return Err(lost(&io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        let plain =
            self.key.open_in_place(nonce(self.read), Aad::empty(), &mut sealed).map_err(|error| lost(&error))?;
        out.extend_from_slice(plain);
        self.read += 1;
        Ok(true)
    }
}

impl Spill {
    /// Stores more of a command and says where in the whole it begins.
    ///
    /// # Errors
    /// The file takes nothing.
    pub fn append(&mut self, command: CommandId, bytes: &[u8]) -> Result<u64, Fault> {
        if self.stored.back().is_none_or(|stored| stored.command != command) {
            self.stored.push_back(Stored::new(command)?);
        }
        self.stored.back_mut().map_or(Ok(0), |stored| stored.append(bytes))
    }

    /// How long a stored command is, in bytes.
    #[must_use]
    pub fn length(&self, command: CommandId) -> u64 {
        self.stored.iter().find(|stored| stored.command == command).map_or(0, |stored| stored.length)
    }

    /// Lets a stored command go on; refused ones that were stored before it are gone.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn release(&mut self, command: CommandId) -> Result<(), Fault> {
        while let Some(mut stored) = self.stored.pop_front() {
            if stored.command == command {
                stored.rewind()?;
                self.going.push_back(stored);
                return Ok(());
            }
        }
        Err(lost(&"the command is not there"))
    }

    /// Appends the next piece that goes to the server; false where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        while let Some(stored) = self.going.front_mut() {
            if stored.next(out)? {
                return Ok(true);
            }
            self.going.pop_front();
        }
        Ok(false)
    }

    /// Whether something is on its way to the server.
    #[must_use]
    pub fn going(&self) -> bool {
        !self.going.is_empty()
    }

    /// Forgets what was stored for this command and is not going to be forwarded.
    pub fn forget(&mut self, command: CommandId) {
        self.stored.retain(|stored| stored.command != command);
    }
}
