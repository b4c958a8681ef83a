//! Who signs, and what others can check with the JWK Set.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Claims, KEYRING, at, claims, document, es256_kid, from_value, header_of, jwks, sign};
use crate::keyring::{Keyring, SigningAlgorithm};
use crate::random::SystemRandom;

/// Rule 51: RSA of 2048 bits or more, EC on P-256 and Ed25519; the JWK Set carries public members only, unique `kid`s, `use` and
/// `alg`.
#[test]
fn rule_51_jwks_has_public_members_only() {
    let keys = jwks(&KEYRING);
    let members: Vec<BTreeSet<&str>> = keys
        .iter()
        .map(|key| key.as_object().unwrap().keys().map(String::as_str).collect())
        .collect();
    let rsa = BTreeSet::from(["kid", "use", "alg", "kty", "n", "e"]);
    let ec = BTreeSet::from(["kid", "use", "alg", "kty", "crv", "x", "y"]);
    let okp = BTreeSet::from(["kid", "use", "alg", "kty", "crv", "x"]);
    assert_eq!(members, [rsa.clone(), ec, rsa, okp]);
    let kids: BTreeSet<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids.len(), 4);
    assert!(keys.iter().all(|key| key["use"] == "sig"));
    let algorithms: Vec<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert_eq!(algorithms, ["RS256", "ES256", "PS256", "EdDSA"]);
    for rsa in [&keys[0], &keys[2]] {
        let modulus = URL_SAFE_NO_PAD.decode(rsa["n"].as_str().unwrap()).unwrap();
        assert_eq!(modulus.len(), 256);
        assert!(modulus[0] >= 0x80, "the modulus has all of its 2048 bits");
        assert_eq!(rsa["e"], "AQAB");
    }
    assert_ne!(keys[0]["n"], keys[2]["n"], "one key signs by two algorithms");
    assert_eq!(keys[1]["crv"], "P-256");
    assert_eq!(
        (&keys[3]["kty"], &keys[3]["crv"]),
        (&json!("OKP"), &json!("Ed25519"))
    );
}

/// What we sign is verified by a JOSE library that is not ours, from the JWK Set alone.
#[test]
fn signatures_verify_with_another_library() {
    use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
    let set: JwkSet = serde_json::from_slice(&KEYRING.jwks()).unwrap();
    for (algorithm, name) in [
        (SigningAlgorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        (SigningAlgorithm::Es256, jsonwebtoken::Algorithm::ES256),
        (SigningAlgorithm::Ps256, jsonwebtoken::Algorithm::PS256),
        (SigningAlgorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let token = sign(algorithm, "JWT");
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, name);
        let key = set.find(&header.kid.clone().unwrap()).unwrap();
        // The kid is the thumbprint of RFC 7638, computed by that library.
        assert_eq!(
            key.thumbprint(ThumbprintHash::SHA256).unwrap(),
            header.kid.unwrap()
        );
        let mut validation = jsonwebtoken::Validation::new(name);
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Claims>(
            &token,
            &jsonwebtoken::DecodingKey::from_jwk(key).unwrap(),
            &validation,
        )
        .unwrap();
        assert_eq!(decoded.claims, claims());
    }
}

/// Several keys of one algorithm: the newest whose time has come signs, all are published, all verify.
#[test]
fn the_time_chooses_the_key_that_signs() {
    let mut document = document(&KEYRING);
    let mut next =
        self::document(&Keyring::generate(at(5_000), &SystemRandom).unwrap())["signingKeys"].clone();
    next.as_array_mut().unwrap().retain(|key| key["alg"] == "ES256");
    let (old_kid, new_kid) = (es256_kid(), next[0]["kid"].as_str().unwrap().to_owned());
    next[0]["publishedAt"] = json!(at(3_000));
    // In front, so that order in the document is seen to decide nothing.
    document["signingKeys"]
        .as_array_mut()
        .unwrap()
        .insert(0, next[0].clone());
    document["signingKeys"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|key| key["kid"] == old_kid.as_str())
        .for_each(|key| key["keptUntil"] = json!(at(9_000)));
    let mut keyring = from_value(&document);
    let signer = |keyring: &Keyring, second| {
        let token = keyring
            .sign(SigningAlgorithm::Es256, "at+jwt", &claims(), at(second))
            .unwrap();
        keyring.verify::<Claims>(&token, "at+jwt").unwrap();
        header_of(&token)["kid"].as_str().unwrap().to_owned()
    };
    assert_eq!(signer(&keyring, 4_999), old_kid);
    assert_eq!(signer(&keyring, 5_000), new_kid);
    // A clock that was set back before every key.
    assert_eq!(signer(&keyring, 0), old_kid);
    assert_eq!(jwks(&keyring).len(), 5);
    keyring.forget_past(at(8_999));
    assert_eq!(jwks(&keyring).len(), 5);
    keyring.forget_past(at(9_000));
    assert_eq!(jwks(&keyring).len(), 4);
    assert_eq!(signer(&keyring, 9_000), new_kid);
    let old_token = sign(SigningAlgorithm::Es256, "at+jwt");
    assert!(keyring.verify::<Claims>(&old_token, "at+jwt").is_err());
}
