//! The broker's API as its callers meet it: a real broker behind its real listener, and the document that describes it.
#![cfg(test)]

mod alone;
mod certificates;
mod clusters;
mod connections;
mod document;
mod domain;
mod issuers;
mod matrix;
mod provider;
mod requests;
mod spire;
mod stream;
mod world;
