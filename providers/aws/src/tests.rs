//! What an admin may write, what AWS is asked, and what is made of what it answers.

mod access;
mod answers;
mod config;
mod keys;
mod parts;
mod world;
