//! Reading and writing of fixed-width little-endian fields and of length-prefixed bytes.

/// Bytes that do not have the form that the format asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is malformed: the recording was damaged or is of another version")]
pub struct Malformed {
    /// What was being read.
    pub what: &'static str,
}

/// Reads from the front of a slice and never past its end.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`; errors name `what`.
    #[must_use]
    pub const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// Everything that was not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The error of this reader.
    #[must_use]
    pub const fn malformed(&self) -> Malformed {
        Malformed { what: self.what }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// If none is left.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A 16-bit number.
    ///
    /// # Errors
    /// If too little is left.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// If too little is left.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A signed 32-bit number.
    ///
    /// # Errors
    /// If too little is left.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_le_bytes)
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// If too little is left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A signed 64-bit number.
    ///
    /// # Errors
    /// If too little is left.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    /// Bytes after their length in 16 bits.
    ///
    /// # Errors
    /// If too little is left.
    pub fn short(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// UTF-8 text after its length in 16 bits.
    ///
    /// # Errors
    /// If too little is left or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let error = self.malformed();
        core::str::from_utf8(self.short()?).map_err(|_| error)
    }

    /// Bytes after their length in 32 bits.
    ///
    /// # Errors
    /// If too little is left.
    pub fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| self.malformed())?)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// If something is.
    pub const fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }
}

/// Appends bytes after their length in 16 bits; what is longer is cut there, which only short names and codes can meet.
pub fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes.get(..length.into()).unwrap_or(bytes));
}

/// Appends text after its length in 16 bits, cut at a character's border where it is longer.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let end = text.floor_char_boundary(u16::MAX.into());
    put_short(out, text.as_bytes().get(..end).unwrap_or_default());
}

/// Appends bytes after their length in 32 bits. The containers refuse an entry that is anywhere near that long.
pub fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}
