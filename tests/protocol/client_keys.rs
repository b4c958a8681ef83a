//! Keys of an app, and what it signs with them.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::oidc::jwk::Jwk;
use claviger::oidc::thumbprint::Thumbprint;
use serde_json::{Value, json};

/// One key of each type.
pub(crate) struct ClientKeys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

/// RSA keys take long to make, so all tests of a process share them.
pub(crate) static KEYS: LazyLock<ClientKeys> = LazyLock::new(ClientKeys::generate);
/// Those of somebody else.
pub(crate) static OTHER_KEYS: LazyLock<ClientKeys> = LazyLock::new(ClientKeys::generate);

impl ClientKeys {
    fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    /// The public keys, as a client registers them.
    pub(crate) fn jwks(&self) -> Vec<Jwk> {
        let rsa = self.rsa.public_key();
        let point = &self.ec.public_key().as_ref()[1..];
        let keys = json!([
            {
                "kty": "RSA",
                "kid": "rsa",
                "n": encode(rsa.modulus().big_endian_without_leading_zero()),
                "e": encode(rsa.exponent().big_endian_without_leading_zero()),
            },
            {"kty": "EC", "kid": "ec", "x": encode(&point[..32]), "y": encode(&point[32..])},
            {"kty": "OKP", "kid": "ed25519", "x": encode(self.ed25519.public_key().as_ref())},
        ]);
        serde_json::from_value(keys).unwrap()
    }

    /// The public key for an algorithm, as a JOSE header brings it.
    pub(crate) fn public_jwk(&self, algorithm: &str) -> Value {
        let index = match algorithm {
            "ES256" => 1,
            "EdDSA" => 2,
            _ => 0,
        };
        let mut jwk = serde_json::to_value(&self.jwks()[index]).unwrap();
        jwk.as_object_mut().unwrap().remove("kid");
        match algorithm {
            "ES256" => jwk["crv"] = json!("P-256"),
            "EdDSA" => jwk["crv"] = json!("Ed25519"),
            _ => (),
        }
        jwk
    }

    /// The thumbprint of that key.
    pub(crate) fn thumbprint(&self, algorithm: &str) -> String {
        let jwk = self.public_jwk(algorithm);
        let key = Jwk::from_members(jwk.as_object().unwrap().clone()).unwrap();
        Thumbprint::of(&key.members).as_str().to_owned()
    }

    /// A JWS by the algorithm that the header names.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let bytes = input.as_bytes();
        let hash = digest(&SHA256, bytes);
        let signature = match header["alg"].as_str().unwrap() {
            "RS256" | "PS256" => {
                let padding = if header["alg"] == "PS256" {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign_digest(padding, &hash, &mut signature).unwrap();
                signature
            }
            "ES256" => self.ec.sign_digest(&hash).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed25519.sign(bytes).as_ref().to_vec(),
            // Whoever forges has no key: an HMAC whose key is the public one, as the classic confusion has it.
            "HS256" => {
                let public = encode(self.rsa.public_key().modulus().big_endian_without_leading_zero());
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
                aws_lc_rs::hmac::sign(&key, bytes).as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{input}.{}", encode(signature))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
