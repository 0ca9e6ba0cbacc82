//! Finds the token that a workload already has, wherever it runs.
