//! The adapter for Kubernetes.
