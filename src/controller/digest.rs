//! The digest over everything that decided an outcome; equal digests mean that nothing is left to do.

use std::fmt::Write as _;

use serde::Serialize;

use crate::oidc::opaque_token::TokenHash;
use crate::store::records::Digest;

/// Bumped whenever the same input makes another Secret or status, so that an upgrade writes them again.
const RENDERER: u32 = 1;

/// The digest of `decisive`; `None` when it cannot be written as JSON, which then counts as never done.
pub(super) fn of(decisive: &impl Serialize) -> Option<Digest> {
    let text = serde_json::to_vec(&(RENDERER, decisive)).ok()?;
    Some(Digest(hex(&text)))
}

/// What is noted when something that was done no longer holds: equal to no digest.
pub(super) const fn undone() -> Digest {
    Digest(String::new())
}

/// SHA-256 in hexadecimal.
pub(super) fn hex(text: &[u8]) -> String {
    TokenHash::of(text)
        .as_bytes()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string does not fail.
            let _written = write!(hex, "{byte:02x}");
            hex
        })
}
