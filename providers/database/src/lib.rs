//! Database roles, one for each writ.
