//! What the detectors find, and what they do not, measured over a corpus that is made anew from a seed.

#[cfg(test)]
mod adversary;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod manual;
#[cfg(test)]
mod precision;
