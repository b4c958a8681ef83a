//! Signing keys: parsed once and kept, since parsing a private key costs more than signing with it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::document::{KeyBytes, SigningKeyEntry};
use super::verified::Verified;
use super::{KeyringError, SigningAlgorithm};
use crate::clock::Timestamp;

/// The `typ` values whose encoded header is kept; others are encoded at each signature.
const KEPT_TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// A parsed private key.
enum PrivateKey {
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
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
    verified: Verified,
    members: PublicMembers,
    headers: [String; KEPT_TYPES.len()],
}

/// The members of a JWK that are its public key (RFC 7518 section 6, RFC 8037 section 2), in the order and with nothing else, as the
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
    Okp {
        crv: &'static str,
        kty: &'static str,
        x: String,
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
    /// A new one that signs at once, in the form in which the document keeps it: RSA with 2048 bits, EC on P-256, Ed25519.
    pub(super) fn generate(
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Result<SigningKeyEntry, KeyringError> {
        let private = PrivateKey::generate(algorithm)?;
        let pkcs8 = private.to_pkcs8()?;
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
        let private = PrivateKey::from_pkcs8(entry.alg, &entry.pkcs8.0).ok_or_else(refused)?;
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
            verified: Verified::default(),
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
        let signature = self.private.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// Whether `signature` is this key's over `input`.
    pub(super) fn verifies(&self, input: &str, signature: &[u8]) -> bool {
        let message = input.as_bytes();
        self.verified.or_verify(message, signature, || {
            self.public.verify_sig(message, signature).is_ok()
        })
    }
}

impl PrivateKey {
    fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyringError> {
        let refused = |_| KeyringError::Crypto("generate a signing key");
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).map_err(refused);
        Ok(match algorithm {
            SigningAlgorithm::Rs256 => Self::Rs256(rsa()?),
            SigningAlgorithm::Ps256 => Self::Ps256(rsa()?),
            SigningAlgorithm::Es256 => {
                Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(refused)?)
            }
            SigningAlgorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::generate().map_err(refused)?),
        })
    }

    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let refused = |_| KeyringError::Crypto("write a signing key");
        Ok(Zeroizing::new(match self {
            Self::Rs256(pair) | Self::Ps256(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(refused)?;
                der.as_ref().to_vec()
            }
            Self::Es256(pair) => pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec(),
            Self::EdDsa(pair) => pair.to_pkcs8().map_err(refused)?.as_ref().to_vec(),
        }))
    }

    fn from_pkcs8(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        Some(match algorithm {
            SigningAlgorithm::Rs256 => Self::Rs256(RsaKeyPair::from_pkcs8(pkcs8).ok()?),
            SigningAlgorithm::Ps256 => Self::Ps256(RsaKeyPair::from_pkcs8(pkcs8).ok()?),
            SigningAlgorithm::Es256 => {
                Self::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?)
            }
            SigningAlgorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8).ok()?),
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyringError> {
        let refused = |_| KeyringError::Crypto("sign a token");
        let rsa = |pair: &RsaKeyPair, padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign_digest(padding, &digest(&SHA256, message), &mut signature)
                .map(|()| signature)
        };
        match self {
            Self::Rs256(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Self::Ps256(pair) => rsa(pair, &RSA_PSS_SHA256),
            Self::Es256(pair) => pair
                .sign_digest(&digest(&SHA256, message))
                .map(|signature| signature.as_ref().to_vec()),
            Self::EdDsa(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec()),
        }
        .map_err(refused)
    }

    fn public(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::Rs256(pair) => {
                ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            }
            Self::Ps256(pair) => ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, pair.public_key().as_ref()),
            Self::Es256(pair) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
            Self::EdDsa(pair) => ParsedPublicKey::new(&ED25519, pair.public_key().as_ref()),
        }
        .ok()
    }

    fn public_members(&self) -> Result<PublicMembers, KeyringError> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rs256(pair) | Self::Ps256(pair) => {
                let key = pair.public_key();
                Ok(PublicMembers::Rsa {
                    e: encode(key.exponent().big_endian_without_leading_zero()),
                    kty: "RSA",
                    n: encode(key.modulus().big_endian_without_leading_zero()),
                })
            }
            Self::EdDsa(pair) => Ok(PublicMembers::Okp {
                crv: "Ed25519",
                kty: "OKP",
                x: encode(pair.public_key().as_ref()),
            }),
            // Uncompressed, SEC 1 section 2.3.3: 0x04, x, y.
            Self::Es256(pair) => match pair.public_key().as_ref() {
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
