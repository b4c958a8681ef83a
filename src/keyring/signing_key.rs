//! Signing keys: parsed once and kept, since parsing a private key costs more than signing with it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::document::{KeyBytes, SigningKeyEntry};
use super::{KeyringError, SigningAlgorithm};
use crate::clock::Timestamp;

/// The `typ` values whose encoded header is kept; others are encoded at each signature.
const KEPT_TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// A parsed private key.
enum PrivateKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// A signing key and its times.
pub(super) struct SigningKey {
    kid: String,
    algorithm: SigningAlgorithm,
    created_at: Timestamp,
    published_at: Timestamp,
    signs_from: Timestamp,
    waiting: bool,
    kept_until: Option<Timestamp>,
    private: PrivateKey,
    public: ParsedPublicKey,
    members: PublicMembers,
    headers: [String; KEPT_TYPES.len()],
}

/// The members of a JWK that are its public key (RFC 7518 section 6), in the order and with nothing else, as the
/// thumbprint of RFC 7638 section 3 wants them.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum PublicMembers {
    Rsa {
        e: String,
        kty: &'static str,
        n: String,
    },
    Ec {
        crv: &'static str,
        kty: &'static str,
        x: String,
        y: String,
    },
}

/// A key as the JWK Set shows it (RFC 7517 section 4): public members only.
#[derive(Serialize)]
pub(super) struct PublicJwk<'a> {
    kid: &'a str,
    #[serde(rename = "use")]
    use_: &'static str,
    alg: &'static str,
    #[serde(flatten)]
    members: &'a PublicMembers,
}

/// The JOSE header of what we sign (RFC 7515 section 4.1).
#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'a str,
    kid: &'a str,
}

impl SigningKey {
    /// A new one that signs at once, in the form in which the document keeps it: RSA with 2048 bits, EC on P-256.
    pub(super) fn generate(
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Result<SigningKeyEntry, KeyringError> {
        let refused = |_| KeyringError::Crypto("generate a signing key");
        let private = match algorithm {
            SigningAlgorithm::Rs256 => {
                PrivateKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(refused)?)
            }
            SigningAlgorithm::Es256 => {
                PrivateKey::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(refused)?)
            }
        };
        let pkcs8 = match &private {
            PrivateKey::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(refused)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
            PrivateKey::Ec(pair) => Zeroizing::new(pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec()),
        };
        Ok(SigningKeyEntry {
            kid: private.public_members()?.thumbprint()?,
            alg: algorithm,
            created_at: now,
            published_at: now,
            signs_from: now,
            waiting: false,
            kept_until: None,
            pkcs8: KeyBytes(pkcs8),
        })
    }

    pub(super) fn from_entry(entry: SigningKeyEntry) -> Result<Self, KeyringError> {
        let refused = || {
            KeyringError::Malformed(format!(
                "signing key {} is not a private key for {}",
                entry.kid,
                entry.alg.name()
            ))
        };
        if entry.kid.is_empty() {
            return Err(KeyringError::Malformed("a signing key has no kid".to_owned()));
        }
        let private = match entry.alg {
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(&entry.pkcs8.0).ok().map(PrivateKey::Rsa),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &entry.pkcs8.0)
                    .ok()
                    .map(PrivateKey::Ec)
            }
        }
        .ok_or_else(refused)?;
        let public = private.public().ok_or_else(refused)?;
        let members = private.public_members()?;
        let [first, second] = KEPT_TYPES;
        Ok(Self {
            headers: [
                header(entry.alg, first, &entry.kid)?,
                header(entry.alg, second, &entry.kid)?,
            ],
            kid: entry.kid,
            algorithm: entry.alg,
            created_at: entry.created_at,
            published_at: entry.published_at,
            signs_from: entry.signs_from,
            waiting: entry.waiting,
            kept_until: entry.kept_until,
            private,
            public,
            members,
        })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    pub(super) fn signs_from(&self) -> Timestamp {
        self.signs_from
    }

    /// Whether it may sign at `now`.
    pub(super) fn may_sign(&self, now: Timestamp) -> bool {
        !self.waiting && self.signs_from <= now
    }

    /// Whether it is published ahead of its time.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    pub(super) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(super) fn published_at(&self) -> Timestamp {
        self.published_at
    }

    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        self.kept_until
    }

    /// Whether the key is out of the JWK Set at `now`.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        self.kept_until.is_some_and(|until| until <= now)
    }

    pub(super) fn public_jwk(&self) -> PublicJwk<'_> {
        PublicJwk {
            kid: &self.kid,
            use_: "sig",
            alg: self.algorithm.name(),
            members: &self.members,
        }
    }

    /// A JWS in compact form (RFC 7515 section 7.1).
    pub(super) fn sign(&self, typ: &'static str, claims: &impl Serialize) -> Result<String, KeyringError> {
        let claims =
            serde_json::to_vec(claims).map_err(|_| KeyringError::Crypto("write the claims of a token"))?;
        let mut token = String::with_capacity(512 + claims.len() * 4 / 3);
        match KEPT_TYPES
            .iter()
            .zip(&self.headers)
            .find(|(kept, _)| **kept == typ)
        {
            Some((_, kept)) => token.push_str(kept),
            None => token.push_str(&header(self.algorithm, typ, &self.kid)?),
        }
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let hash = digest(&SHA256, token.as_bytes());
        token.push('.');
        let refused = |_| KeyringError::Crypto("sign a token");
        match &self.private {
            PrivateKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, &hash, &mut signature)
                    .map_err(refused)?;
                URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
            }
            PrivateKey::Ec(pair) => {
                let signature = pair.sign_digest(&hash).map_err(refused)?;
                URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
            }
        }
        Ok(token)
    }

    /// Whether `signature` is this key's over `input`.
    pub(super) fn verifies(&self, input: &str, signature: &[u8]) -> bool {
        self.public.verify_sig(input.as_bytes(), signature).is_ok()
    }
}

impl PrivateKey {
    fn public(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::Rsa(pair) => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()),
            Self::Ec(pair) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
        }
        .ok()
    }

    fn public_members(&self) -> Result<PublicMembers, KeyringError> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let key = pair.public_key();
                Ok(PublicMembers::Rsa {
                    e: encode(key.exponent().big_endian_without_leading_zero()),
                    kty: "RSA",
                    n: encode(key.modulus().big_endian_without_leading_zero()),
                })
            }
            // Uncompressed, SEC 1 section 2.3.3: 0x04, x, y.
            Self::Ec(pair) => match pair.public_key().as_ref() {
                [0x04, point @ ..] if point.len() == 64 => {
                    let (x, y) = point.split_at(32);
                    Ok(PublicMembers::Ec {
                        crv: "P-256",
                        kty: "EC",
                        x: encode(x),
                        y: encode(y),
                    })
                }
                _ => Err(KeyringError::Crypto("read the point of a public key")),
            },
        }
    }
}

impl PublicMembers {
    /// RFC 7638 with SHA-256.
    fn thumbprint(&self) -> Result<String, KeyringError> {
        let json = serde_json::to_vec(self).map_err(|_| KeyringError::Crypto("write a public key"))?;
        Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, &json)))
    }
}

fn header(algorithm: SigningAlgorithm, typ: &str, kid: &str) -> Result<String, KeyringError> {
    let header = Header {
        alg: algorithm.name(),
        typ,
        kid,
    };
    serde_json::to_vec(&header)
        .map(|json| URL_SAFE_NO_PAD.encode(json))
        .map_err(|_| KeyringError::Crypto("write the header of a token"))
}
