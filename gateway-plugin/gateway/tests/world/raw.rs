//! A client on plain bytes, for what a driver hides: frames, error fields, when exactly a connection ends.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::ALLOWANCE;

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// A field of an error: `C` is its SQLSTATE, `M` its text.
    pub(crate) fn field(&self, kind: u8) -> String {
        let mut fields = self.body.split(|byte| *byte == 0).filter(|field| field.first() == Some(&kind));
        fields.next().map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    }
}

/// A connection.
pub(crate) struct Raw {
    pub(crate) socket: TcpStream,
    /// Its `BackendKeyData`: number and key.
    pub(crate) key: Vec<u8>,
}

/// A message of the client.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A simple query.
pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

impl Raw {
    /// Connects and says nothing.
    pub(crate) async fn connect(port: u16) -> io::Result<Self> {
        Ok(Self { socket: TcpStream::connect(("127.0.0.1", port)).await?, key: Vec::new() })
    }

    /// Connects and asks for the target, no more.
    pub(crate) async fn startup(port: u16) -> io::Result<Self> {
        let mut raw = Self::connect(port).await?;
        let body = b"\0\x03\0\0user\0pay\0database\0postgres\0\0";
        let length = u32::try_from(body.len() + 4).unwrap();
        raw.send(&[&length.to_be_bytes()[..], body].concat()).await?;
        Ok(raw)
    }

    /// Connects and shows a token; the error is the gateway's.
    pub(crate) async fn login(port: u16, token: &str) -> Result<Self, Frame> {
        let mut raw = Self::startup(port).await.unwrap();
        loop {
            let frame = raw.frame().await.unwrap();
            match frame.tag {
                b'R' if frame.body[3] == 3 => {
                    raw.send(&message(b'p', &[token.as_bytes(), b"\0"].concat())).await.unwrap();
                }
                b'K' => raw.key = frame.body,
                b'Z' => return Ok(raw),
                b'E' => return Err(frame),
                _ => {}
            }
        }
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::time::timeout(ALLOWANCE, self.socket.write_all(bytes)).await?
    }

    /// The next message; an error of kind `UnexpectedEof` where the connection ended.
    pub(crate) async fn frame(&mut self) -> io::Result<Frame> {
        let read = async {
            let tag = self.socket.read_u8().await?;
            let length = self.socket.read_u32().await?;
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            self.socket.read_exact(&mut body).await?;
            Ok(Frame { tag, body })
        };
        tokio::time::timeout(ALLOWANCE, read).await?
    }

    /// All messages up to one with this tag.
    pub(crate) async fn frames_to(&mut self, tag: u8) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await.unwrap();
            let last = frame.tag == tag;
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    /// All messages until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// A simple query and its answer.
    pub(crate) async fn ask(&mut self, sql: &str) -> Vec<Frame> {
        self.send(&query(sql)).await.unwrap();
        self.frames_to(b'Z').await
    }
}
