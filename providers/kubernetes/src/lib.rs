//! Bound service-account tokens of Kubernetes.
