//! Fakes of what no registry has, stricter than the real ones.
