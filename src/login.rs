//! Authentication of the End-User, one file per method.
