//! Every source against a stand-in of its platform that is stricter than the platform, the Workload API against the real
//! SPIRE, and the door against a gateway's few words.
#![cfg(test)]

mod clouds;
mod detection;
mod door;
mod files;
mod jobs;
mod proxies;
mod spire;
mod support;
