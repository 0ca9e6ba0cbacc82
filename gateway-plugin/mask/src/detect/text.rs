//! Reading bytes by place: what the detectors share.

/// The byte at a place; 0, which nothing matches, outside.
#[inline]
pub(crate) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before a place; 0 before the first.
#[inline]
pub(crate) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |at| byte(text, at))
}

/// Whether a word could begin here: no ASCII letter or digit stands before, or one that a backslash makes an escape.
#[inline]
pub(crate) fn opens(text: &[u8], at: usize) -> bool {
    !before(text, at).is_ascii_alphanumeric()
        || (at >= 2 && before(text, at - 1) == b'\\' && !before(text, at).is_ascii_digit())
}

/// Whether a word could end here: no ASCII letter or digit follows.
#[inline]
pub(crate) fn closes(text: &[u8], at: usize) -> bool {
    !byte(text, at).is_ascii_alphanumeric()
}

/// The length of the run of bytes from a place that pass the test.
#[inline]
pub(crate) fn run(text: &[u8], at: usize, test: impl Fn(u8) -> bool) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| test(**byte)).count()
}

/// The value of a digit that is known to be one.
#[inline]
pub(crate) const fn value(digit: u8) -> u32 {
    digit.wrapping_sub(b'0') as u32
}

/// Up to `N` characters gathered from a value, without what stands between them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gathered<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Gathered<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    /// Appends one; false where there is no room.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        let Some(slot) = self.bytes.get_mut(self.length) else { return false };
        *slot = byte;
        self.length += 1;
        true
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
