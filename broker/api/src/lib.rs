//! The broker's API: wire types and paths that broker and gateway share.
