//! The form in which a keyring is kept: one versioned JSON document. The only place where private keys have a written
//! form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{KeyringError, SigningAlgorithm};
use crate::clock::Timestamp;

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Room for the document, so that it does not grow by leaving copies of keys behind in freed memory.
const CAPACITY: usize = 64 * 1024;

/// Key bytes. Wiped when dropped; written as unpadded base64url, in the document only.
pub(super) struct KeyBytes(pub(super) Zeroizing<Vec<u8>>);

impl Serialize for KeyBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice())))
    }
}

impl<'de> Deserialize<'de> for KeyBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The decoder's own error would quote a byte of the key.
        URL_SAFE_NO_PAD
            .decode(text.as_bytes())
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .map_err(|_| serde::de::Error::custom("a key is not unpadded base64url"))
    }
}

/// A master key or a sealing key: 256 random bits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SymmetricKey {
    pub(super) id: String,
    pub(super) created_at: Timestamp,
    pub(super) key: KeyBytes,
}

/// A signing key and its times.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SigningKeyEntry {
    pub(super) kid: String,
    pub(super) alg: SigningAlgorithm,
    pub(super) created_at: Timestamp,
    /// In the JWK Set since then.
    pub(super) published_at: Timestamp,
    /// Signs from then on, until a key that signs later takes over.
    pub(super) signs_from: Timestamp,
    /// Published, and does not sign before a claviger that has published it for long enough says so. Absent in the first
    /// versions of the document, whose keys signed by their times alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) waiting: bool,
    /// In the JWK Set until then; absent while no successor signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kept_until: Option<Timestamp>,
    pub(super) pkcs8: KeyBytes,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(waiting: &bool) -> bool {
    !waiting
}

/// The document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    version: u32,
    pub(super) id: String,
    pub(super) master_keys: Vec<SymmetricKey>,
    pub(super) signing_keys: Vec<SigningKeyEntry>,
    pub(super) sealing_keys: Vec<SymmetricKey>,
    /// Those that the first versions cannot read; among the others after reading.
    #[serde(default)]
    further_signing_keys: Vec<SigningKeyEntry>,
}

/// The document as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: u32,
    id: &'a str,
    master_keys: &'a [SymmetricKey],
    /// Of the algorithms of the first versions only: an earlier claviger that has to take over again reads these, and would
    /// refuse the whole document for an `alg` that it does not know.
    signing_keys: Vec<&'a SigningKeyEntry>,
    sealing_keys: &'a [SymmetricKey],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further_signing_keys: Vec<&'a SigningKeyEntry>,
}

fn is_of_first_versions(key: &SigningKeyEntry) -> bool {
    matches!(key.alg, SigningAlgorithm::Rs256 | SigningAlgorithm::Es256)
}

/// Read first, so that a document of a later version is named as that rather than as damage.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Document {
    pub(super) fn new(
        id: String,
        master_keys: Vec<SymmetricKey>,
        signing_keys: Vec<SigningKeyEntry>,
        sealing_keys: Vec<SymmetricKey>,
    ) -> Self {
        Self {
            version: VERSION,
            id,
            master_keys,
            signing_keys,
            sealing_keys,
            further_signing_keys: Vec::new(),
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, KeyringError> {
        let Version { version } = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
        if version != VERSION {
            return Err(KeyringError::Malformed(format!(
                "it has version {version}, this claviger knows version {VERSION}; run the claviger that wrote it"
            )));
        }
        let mut document: Self = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
        if document.id.is_empty() {
            return Err(KeyringError::Malformed("its id is empty".to_owned()));
        }
        document.signing_keys.append(&mut document.further_signing_keys);
        Ok(document)
    }

    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(CAPACITY));
        let (signing_keys, further_signing_keys) = self
            .signing_keys
            .iter()
            .partition(|key| is_of_first_versions(key));
        let written = Written {
            version: self.version,
            id: &self.id,
            master_keys: &self.master_keys,
            signing_keys,
            sealing_keys: &self.sealing_keys,
            further_signing_keys,
        };
        serde_json::to_writer(&mut *bytes, &written)
            .map_err(|_| KeyringError::Crypto("write the keyring document"))?;
        Ok(bytes)
    }
}

/// Where the document breaks, without the text found there: it could be a key.
fn malformed(error: &serde_json::Error) -> KeyringError {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it is truncated",
        serde_json::error::Category::Data => "a field is missing or has a wrong value",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    };
    KeyringError::Malformed(format!(
        "{what} (line {}, column {})",
        error.line(),
        error.column()
    ))
}
