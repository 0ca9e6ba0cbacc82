//! The broker's API: paths and wire types that broker and gateway share.
//!
//! [`gateway`] is what a gateway says over mTLS, [`token`] and [`trial`] what a workload may ask, [`admin`] what humans and their tools
//! ask, [`problem`] how each of them is refused, [`sealed`] the only form in which a credential crosses the network.

pub mod admin;
pub mod approval;
pub mod gateway;
pub mod paths;
pub mod problem;
pub mod sealed;
pub mod token;
pub mod trial;
