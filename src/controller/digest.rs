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
    let mut digest = String::with_capacity(64);
    for byte in TokenHash::of(&text).as_bytes() {
        write!(digest, "{byte:02x}").ok()?;
    }
    Some(Digest(digest))
}
