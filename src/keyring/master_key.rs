//! Master keys: what is derived from them, so that it need not be stored.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::KeyringError;
use super::document::{KeyBytes, SymmetricKey};
use crate::clock::Timestamp;
use crate::oidc::identifier::{ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::random::{self, Random};

/// Client secrets begin with it, so that scanners for leaked secrets can find them.
const CLIENT_SECRET_PREFIX: &str = "clv_";

/// Separate what is derived from one master key. Changing one changes every secret derived under it.
const CLIENT_SECRET_LABEL: &str = "claviger/client-secret/v1";
const USER_PASSWORD_LABEL: &str = "claviger/user-password/v1";
const PAIRWISE_SUBJECT_LABEL: &str = "claviger/pairwise-subject/v1";
const PSEUDONYM_LABEL: &str = "claviger/log-pseudonym/v1";

/// Lower case without the letters that are mistaken for digits or for each other when a password is typed.
const TYPEABLE: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Five groups of five characters of five bits each: 125 bits.
const PASSWORD_GROUPS: usize = 5;
const PASSWORD_GROUP_LENGTH: usize = 5;

/// A master key.
pub(super) struct MasterKey {
    id: String,
    created_at: Timestamp,
    key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// A new one, in the form in which the document keeps it.
    pub(super) fn generate(now: Timestamp, random: &dyn Random) -> SymmetricKey {
        SymmetricKey {
            id: URL_SAFE_NO_PAD.encode(random::bytes::<9>(random)),
            created_at: now,
            key: KeyBytes(Zeroizing::new(
                Zeroizing::new(random::bytes::<32>(random)).to_vec(),
            )),
        }
    }

    pub(super) fn from_entry(entry: SymmetricKey) -> Result<Self, KeyringError> {
        if entry.id.is_empty() {
            return Err(KeyringError::Malformed("a master key has no id".to_owned()));
        }
        let mut key = Zeroizing::new([0; 32]);
        if entry.key.0.len() != key.len() {
            return Err(KeyringError::Malformed(format!(
                "master key {} has {} bytes instead of 32",
                entry.id,
                entry.key.0.len()
            )));
        }
        key.copy_from_slice(&entry.key.0);
        Ok(Self {
            id: entry.id,
            created_at: entry.created_at,
            key,
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(super) fn client_secret(&self, uid: &ResourceUid, version: &str) -> Option<Zeroizing<String>> {
        let derived = self.derive(CLIENT_SECRET_LABEL, uid.as_str(), version)?;
        let mut text = Zeroizing::new(String::with_capacity(CLIENT_SECRET_PREFIX.len() + 43));
        text.push_str(CLIENT_SECRET_PREFIX);
        URL_SAFE_NO_PAD.encode_string(derived.as_slice(), &mut text);
        Some(text)
    }

    pub(super) fn user_password(&self, uid: &ResourceUid, version: &str) -> Option<Zeroizing<String>> {
        let derived = self.derive(USER_PASSWORD_LABEL, uid.as_str(), version)?;
        let mut text = Zeroizing::new(String::with_capacity(
            PASSWORD_GROUPS * (PASSWORD_GROUP_LENGTH + 1),
        ));
        // 256 is a multiple of 32, so that the remainder of a uniform byte is uniform.
        for (index, byte) in derived
            .iter()
            .take(PASSWORD_GROUPS * PASSWORD_GROUP_LENGTH)
            .enumerate()
        {
            if index > 0 && index % PASSWORD_GROUP_LENGTH == 0 {
                text.push('-');
            }
            text.push(char::from(TYPEABLE[usize::from(byte % 32)]));
        }
        Some(text)
    }

    /// 72 bits that depend on the key and on `text`.
    pub(super) fn pseudonym(&self, text: &str) -> Option<String> {
        // Hashed first, since a text may hold the NUL that separates the parts below.
        let hash = URL_SAFE_NO_PAD.encode(TokenHash::of(text.as_bytes()).as_bytes());
        let derived = self.derive(PSEUDONYM_LABEL, &hash, "")?;
        Some(URL_SAFE_NO_PAD.encode(&derived[..9]))
    }

    /// The base64url of all 256 bits.
    pub(super) fn pairwise_subject(&self, sector: &str, subject: &Subject) -> Option<Subject> {
        let derived = self.derive(PAIRWISE_SUBJECT_LABEL, sector, subject.as_str())?;
        Some(Subject::new(URL_SAFE_NO_PAD.encode(derived.as_slice())))
    }

    /// HKDF-SHA256 (RFC 5869) with an empty salt and `info = label 0x00 first 0x00 second`.
    fn derive(&self, label: &str, first: &str, second: &str) -> Option<Zeroizing<[u8; 32]>> {
        // A NUL inside a part would make two different triples one `info`.
        if first.contains('\0') || second.contains('\0') {
            return None;
        }
        let info = [label.as_bytes(), &[0], first.as_bytes(), &[0], second.as_bytes()];
        let mut derived = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &[])
            .extract(self.key.as_slice())
            .expand(&info, HKDF_SHA256)
            .and_then(|okm| okm.fill(derived.as_mut_slice()))
            .ok()?;
        Some(derived)
    }
}
