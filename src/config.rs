//! Flags and environment into checked types; nothing else reads the environment.
