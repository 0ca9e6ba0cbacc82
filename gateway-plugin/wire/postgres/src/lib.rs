//! The PostgreSQL wire protocol, sans-I/O.
