//! Argon2 (RFC 9106) and the PHC string form of its hashes.

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::oidc::password::{HasherError, Password, PasswordHash};

/// Today's parameters: OWASP's minimum, 19 MiB and two passes on one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const OUTPUT_LENGTH: usize = 32;

/// Bytes of salt (RFC 9106 section 3.1 recommends 16).
pub(super) const SALT_LENGTH: usize = 16;

/// What a stored hash may ask for at most. Somebody wrote it into a Secret, and every sign-in pays for it.
const MAX_MEMORY_KIB: u32 = 128 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

/// Memory that is reused from hash to hash: faulting in fresh pages costs more than half of the hash. Empty until the
/// first one.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        &mut self.0[..count]
    }

    /// Gives back what is more than today's parameters need.
    fn shrink(&mut self) {
        let usual = usize::try_from(MEMORY_KIB).unwrap_or(usize::MAX);
        if self.0.len() > usual {
            self.0.truncate(usual);
            self.0.shrink_to_fit();
        }
    }
}

fn failed(error: argon2::Error) -> HasherError {
    HasherError::Hash(error.to_string())
}

/// A hash with today's parameters.
pub(super) fn hash(
    password: &Password,
    salt: [u8; SALT_LENGTH],
    memory: &mut Memory,
) -> Result<PasswordHash, HasherError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_LENGTH)).map_err(failed)?;
    let blocks = memory.blocks(params.block_count());
    let mut output = Zeroizing::new([0; OUTPUT_LENGTH]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.expose().as_bytes(), &salt, output.as_mut_slice(), blocks)
        .map_err(failed)?;
    Ok(PasswordHash::from_phc(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output.as_slice()),
    )))
}

/// A stored hash that can be verified.
pub(super) struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: phc::Salt,
    output: phc::Output,
}

impl Stored {
    /// Reads a PHC string; the reason why not never repeats any of it.
    pub(super) fn parse(hash: &PasswordHash) -> Result<Self, &'static str> {
        let hash = phc::PasswordHash::new(hash.as_phc()).map_err(|_| "it is not a PHC string")?;
        let algorithm =
            Algorithm::new(hash.algorithm.as_str()).map_err(|_| "its algorithm is not one of Argon2")?;
        // The form without a version is that of version 1.0.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| "its version of Argon2 does not exist")?;
        let params = Params::try_from(&hash).map_err(|_| "its parameters are not those of Argon2")?;
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
            return Err("it asks for more than 128 MiB, 16 passes or 16 lanes");
        }
        Ok(Self {
            algorithm,
            version,
            params,
            salt: hash.salt.ok_or("it has no salt")?,
            output: hash.hash.ok_or("it has no output")?,
        })
    }

    /// Computes and compares in constant time.
    pub(super) fn matches(&self, password: &Password, memory: &mut Memory) -> Result<bool, HasherError> {
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        let computed = Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(
                password.expose().as_bytes(),
                self.salt.as_ref(),
                &mut output,
                memory.blocks(self.params.block_count()),
            );
        memory.shrink();
        computed.map_err(failed)?;
        Ok(output.ct_eq(self.output.as_bytes()).into())
    }

    /// Needs more memory than a hash of today.
    pub(super) fn is_large(&self) -> bool {
        self.params.m_cost() > MEMORY_KIB
    }

    /// Weaker than a hash of today: another variant, less memory, or less work in all.
    pub(super) fn is_outdated(&self) -> bool {
        let work = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || self.params.m_cost() < MEMORY_KIB
            || work(self.params.m_cost(), self.params.t_cost()) < work(MEMORY_KIB, PASSES)
            || self.output.len() < OUTPUT_LENGTH
            || self.salt.len() < SALT_LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory beyond today's parameters is given back after the hash that needed it. The hash was made by the reference
    /// implementation (Debian's `argon2`).
    #[test]
    fn memory_is_taken_late_and_given_back() {
        let mut memory = Memory::default();
        assert_eq!(memory.0.capacity(), 0);
        let hash = PasswordHash::from_phc(
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI",
        );
        let password = Password::new("password").unwrap();
        assert!(
            Stored::parse(&hash)
                .unwrap()
                .matches(&password, &mut memory)
                .unwrap()
        );
        assert_eq!(memory.0.capacity(), 19 * 1024);
    }
}
