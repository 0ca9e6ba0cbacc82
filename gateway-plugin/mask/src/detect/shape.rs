//! Sets of shapes: what the prefilter tells the detectors.

use core::ops::BitOr;

/// A set of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shapes(u16);

impl Shapes {
    pub(crate) const NONE: Self = Self(0);
    /// Eleven digits or more in one run, or thirteen with single joints.
    pub(crate) const DIGITS: Self = Self(1);
    /// Digits in groups.
    pub(crate) const GROUPS: Self = Self(1 << 1);
    /// Letters and digits as in account numbers.
    pub(crate) const CODE: Self = Self(1 << 2);
    /// An at sign.
    pub(crate) const AT: Self = Self(1 << 3);
    /// Points between digits.
    pub(crate) const DOTS: Self = Self(1 << 4);
    /// Colons near each other.
    pub(crate) const COLONS: Self = Self(1 << 5);
    /// A plus sign before digits.
    pub(crate) const PLUS: Self = Self(1 << 6);
    /// Thirteen letters and digits in one run.
    pub(crate) const WORD: Self = Self(1 << 7);
    /// The end of a key in JSON.
    pub(crate) const KEY: Self = Self(1 << 8);
    /// One of the literals that begin a secret.
    pub(crate) const LITERAL: Self = Self(1 << 9);
    /// Characters that look like ASCII digits or like nothing.
    pub(crate) const FOLD: Self = Self(1 << 10);
    /// Everything.
    pub(crate) const ALL: Self = Self(u16::MAX);

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Shapes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}
