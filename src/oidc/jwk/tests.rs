use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};

use super::*;

const INPUT: &[u8] = b"what is signed";

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa(pair: &RsaKeyPair, alg: Option<SignatureAlgorithm>) -> Jwk {
    let key = pair.public_key();
    Jwk {
        kid: None,
        alg,
        members: PublicMembers::Rsa {
            n: encode(key.modulus().big_endian_without_leading_zero()),
            e: encode(key.exponent().big_endian_without_leading_zero()),
        },
    }
}

fn ec(pair: &EcdsaKeyPair) -> Jwk {
    let point = &pair.public_key().as_ref()[1..];
    Jwk {
        kid: None,
        alg: None,
        members: PublicMembers::P256 {
            x: encode(&point[..32]),
            y: encode(&point[32..]),
        },
    }
}

fn ed25519(pair: &Ed25519KeyPair) -> Jwk {
    Jwk {
        kid: None,
        alg: None,
        members: PublicMembers::Ed25519 {
            x: encode(pair.public_key().as_ref()),
        },
    }
}

/// What decides is the key: a signature counts under the algorithms of its type only, and under the one that the key
/// names, where it names one (rule 49).
#[test]
fn rule_49_a_key_verifies_by_its_own_algorithms_only() {
    let by_rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let by_ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let by_ed25519 = Ed25519KeyPair::generate().unwrap();
    let hash = digest(&SHA256, INPUT);
    let mut pkcs1 = vec![0; 256];
    by_rsa.sign_digest(&RSA_PKCS1_SHA256, &hash, &mut pkcs1).unwrap();
    let mut pss = vec![0; 256];
    by_rsa.sign_digest(&RSA_PSS_SHA256, &hash, &mut pss).unwrap();
    let on_curve = by_ec.sign_digest(&hash).unwrap();
    let edwards = by_ed25519.sign(INPUT);
    let signatures = [
        (SignatureAlgorithm::Rs256, &pkcs1[..]),
        (SignatureAlgorithm::Ps256, &pss[..]),
        (SignatureAlgorithm::Es256, on_curve.as_ref()),
        (SignatureAlgorithm::EdDsa, edwards.as_ref()),
    ];
    let rs256 = Some(SignatureAlgorithm::Rs256);
    let keys = [
        (
            rsa(&by_rsa, None),
            vec![SignatureAlgorithm::Rs256, SignatureAlgorithm::Ps256],
        ),
        (rsa(&by_rsa, rs256), vec![SignatureAlgorithm::Rs256]),
        (ec(&by_ec), vec![SignatureAlgorithm::Es256]),
        (ed25519(&by_ed25519), vec![SignatureAlgorithm::EdDsa]),
    ];
    for (key, expected) in keys {
        key.check().unwrap();
        for (algorithm, signature) in signatures {
            let verified = key.verifies(algorithm, INPUT, signature);
            assert_eq!(
                verified,
                expected.contains(&algorithm),
                "{algorithm:?} by {key:?}"
            );
            assert!(!key.verifies(algorithm, b"something else", signature));
        }
    }
}

/// RSA of fewer than 2048 bits, a point that is not on the curve, and an `alg` of another type are no keys (rule 51).
#[test]
fn rule_51_weak_and_malformed_keys_are_refused() {
    let members = |json: &str| serde_json::from_str::<Jwk>(json).unwrap().check();
    let n = |bytes: usize, first: u8| {
        let mut modulus = vec![0xff; bytes];
        modulus[0] = first;
        encode(&modulus)
    };
    let with = |n: &str, e: &str| members(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#));
    for good in [n(256, 0x80), n(512, 0xff)] {
        assert_eq!(with(&good, "AQAB"), Ok(()));
    }
    for (n, e) in [
        (n(256, 0x7f), "AQAB"),
        (n(128, 0xff), "AQAB"),
        (n(513, 0x01), "AQAB"),
        (n(1024, 0xff), "AQAB"),
        (n(256, 0x80), "Aw"),
        (n(256, 0x80), "_____w"),
        (n(256, 0x80), "AQ"),
        (n(256, 0x80), "AQAA"),
        (n(256, 0x80), "AQAAAAE"),
    ] {
        assert_eq!(with(&n, e), Err(JwkError::RsaSize), "{e}");
    }
    assert_eq!(with("=", "AQAB"), Err(JwkError::Malformed));
    let zeros = encode(&[0; 32]);
    for (json, error) in [
        (
            format!(r#"{{"kty":"EC","x":"{zeros}","y":"{zeros}"}}"#),
            JwkError::Malformed,
        ),
        (
            r#"{"kty":"EC","x":"AQ","y":"AQ"}"#.to_owned(),
            JwkError::Malformed,
        ),
        (r#"{"kty":"OKP","x":"AQ"}"#.to_owned(), JwkError::Malformed),
        (
            format!(r#"{{"kty":"OKP","x":"{zeros}","alg":"ES256"}}"#),
            JwkError::Algorithm,
        ),
        (
            format!(
                r#"{{"kty":"RSA","n":"{}","e":"AQAB","alg":"EdDSA"}}"#,
                n(256, 0x80)
            ),
            JwkError::Algorithm,
        ),
    ] {
        assert_eq!(members(&json), Err(error), "{json}");
    }
    for json in [
        r#"{"kty":"oct","k":"AQ"}"#,
        r#"{"kty":"RSA","n":"AQ"}"#,
        r#"{"alg":"none","kty":"OKP","x":"AQ"}"#,
    ] {
        assert!(serde_json::from_str::<Jwk>(json).is_err(), "{json}");
    }
}
