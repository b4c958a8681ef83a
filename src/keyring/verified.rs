//! Signatures that were found good, so that a token which is shown again and again is not verified each time: with ES256, which
//! access tokens have, that takes several times as long as signing.
//!
//! They are kept with their key, so whatever ends the key ends them, and a change of the keyring, which reads all keys anew, does. Nothing but the signature is spared: what the token says is
//! read and judged each time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// So many in each of two generations: when the recent one is full it becomes the older one, which is forgotten. About 300 KB
/// each.
const GENERATION: usize = 4096;

/// The hash of what was signed, and of its signature.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// The signatures of one key that were found good.
#[derive(Default)]
pub(super) struct Verified(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    recent: HashSet<Digest>,
    older: HashSet<Digest>,
}

impl Verified {
    /// Whether `signature` is that of `message`: as it was found before, or as `verify` says.
    pub(super) fn or_verify(&self, message: &[u8], signature: &[u8], verify: impl FnOnce() -> bool) -> bool {
        let digest = digest(message, signature);
        if self.lock(|generations| generations.recall(&digest)) {
            return true;
        }
        // Not under the lock: it takes long.
        let is_good = verify();
        if is_good {
            self.lock(|generations| generations.remember(digest));
        }
        is_good
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Generations) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn recall(&mut self, digest: &Digest) -> bool {
        if self.recent.contains(digest) {
            return true;
        }
        let known = self.older.remove(digest);
        if known {
            self.remember(*digest);
        }
        known
    }

    fn remember(&mut self, digest: Digest) {
        if self.recent.len() >= GENERATION {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(digest);
    }
}

/// The message goes with its length, so that no byte of the one can be taken for one of the other.
fn digest(message: &[u8], signature: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&(message.len() as u64).to_be_bytes());
    context.update(message);
    context.update(signature);
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the answer and whether it had to be found out.
    fn ask(verified: &Verified, message: &[u8], signature: &[u8], is_good: bool) -> (bool, bool) {
        let mut asked = false;
        let answer = verified.or_verify(message, signature, || {
            asked = true;
            is_good
        });
        (answer, asked)
    }

    #[test]
    fn a_good_signature_is_verified_once_and_a_bad_one_each_time() {
        let verified = Verified::default();
        assert_eq!(ask(&verified, b"message", b"good", true), (true, true));
        assert_eq!(ask(&verified, b"message", b"good", false), (true, false));
        for _ in 0..2 {
            assert_eq!(ask(&verified, b"message", b"bad", false), (false, true));
        }
        assert_eq!(
            ask(&verified, b"messag", b"egood", false),
            (false, true),
            "cut elsewhere"
        );
        assert_eq!(ask(&verified, b"other", b"good", false), (false, true));
    }

    #[test]
    fn rule_88_it_does_not_grow_and_keeps_what_is_used() {
        let verified = Verified::default();
        ask(&verified, b"in use", b"", true);
        for number in 0..(5 * GENERATION as u64) {
            ask(&verified, &number.to_be_bytes(), b"", true);
            if number % 1024 == 0 {
                assert_eq!(ask(&verified, b"in use", b"", true), (true, false), "{number}");
            }
        }
        let kept = verified.lock(|generations| generations.recent.len() + generations.older.len());
        assert!((GENERATION..=2 * GENERATION).contains(&kept), "{kept}");
        assert_eq!(
            ask(&verified, &0_u64.to_be_bytes(), b"", true),
            (true, true),
            "forgotten"
        );
    }
}
