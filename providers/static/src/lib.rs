//! Static passwords for targets that can do no better.
