//! The recording: segment format, digests, reader.
