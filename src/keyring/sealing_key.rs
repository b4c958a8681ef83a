//! Sealing keys: what a browser carries for us without reading or altering it.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::KeyringError;
use super::document::{KeyBytes, SymmetricKey};
use crate::clock::Timestamp;
use crate::random::{self, Random};

/// Bytes of a sealing key's id, which every sealed text begins with.
const ID_LENGTH: usize = 8;

/// A sealing key. AES-256-GCM-SIV (RFC 8452): many replicas draw 96-bit nonces at random for a long time, and a repeated
/// one must not give the key away as it would with plain GCM.
pub(super) struct SealingKey {
    id: [u8; ID_LENGTH],
    created_at: Timestamp,
    key: LessSafeKey,
}

impl SealingKey {
    /// A new one, in the form in which the document keeps it.
    pub(super) fn generate(now: Timestamp, random: &dyn Random) -> SymmetricKey {
        SymmetricKey {
            id: URL_SAFE_NO_PAD.encode(random::bytes::<ID_LENGTH>(random)),
            created_at: now,
            key: KeyBytes(Zeroizing::new(
                Zeroizing::new(random::bytes::<32>(random)).to_vec(),
            )),
        }
    }

    pub(super) fn from_entry(entry: &SymmetricKey) -> Result<Self, KeyringError> {
        let malformed = |what: &str| KeyringError::Malformed(format!("sealing key {}: {what}", entry.id));
        let id = URL_SAFE_NO_PAD
            .decode(&entry.id)
            .ok()
            .and_then(|id| id.try_into().ok())
            .ok_or_else(|| malformed("its id is not eight bytes of base64url"))?;
        let key = UnboundKey::new(&AES_256_GCM_SIV, &entry.key.0)
            .map_err(|_| malformed("it does not have 32 bytes"))?;
        Ok(Self {
            id,
            created_at: entry.created_at,
            key: LessSafeKey::new(key),
        })
    }

    pub(super) fn id(&self) -> &[u8; ID_LENGTH] {
        &self.id
    }

    /// The id in its written form.
    pub(super) fn name(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    pub(super) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// `base64url(id || nonce || ciphertext || tag)`, unpadded.
    pub(super) fn seal(
        &self,
        purpose: &'static str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Result<String, KeyringError> {
        let nonce = random::bytes::<NONCE_LEN>(random);
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut body,
            )
            .map_err(|_| KeyringError::Crypto("seal"))?;
        let mut sealed = Vec::with_capacity(ID_LENGTH + NONCE_LEN + body.len());
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens `nonce || ciphertext || tag`.
    fn open(&self, purpose: &'static str, body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = body.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(purpose.as_bytes()),
                &mut plain,
            )
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

/// Opens `sealed` with the key that it names.
pub(super) fn open(keys: &[SealingKey], purpose: &'static str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (id, body) = sealed.split_first_chunk::<ID_LENGTH>()?;
    keys.iter().find(|key| key.id() == id)?.open(purpose, body)
}
