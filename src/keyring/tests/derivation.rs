//! What is derived from a master key.

use std::collections::BTreeSet;

use serde_json::json;

use super::{KEYRING, at, document, from_value};
use crate::keyring::Keyring;
use crate::oidc::identifier::{ResourceUid, Subject};
use crate::random::SystemRandom;

/// The derivation never changes: another result would change every secret that apps hold. The expected values were
/// computed with Python's `hmac`.
#[test]
fn derivation_matches_a_fixed_vector() {
    let mut document = document(&KEYRING);
    document["masterKeys"] = json!([{
        "id": "first",
        "createdAt": "2026-01-01T00:00:00Z",
        "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    }]);
    let keyring = from_value(&document);
    let uid = ResourceUid::new("0f1d7f5e-6d5c-4b5a-8a39-3c1f0a6b7c8d");
    assert_eq!(
        keyring.client_secret("first", &uid, "1").unwrap().as_str(),
        "clv_iU8oElN58Nmxmp9nWQgBWAxCbU4lQ305XdUPD5ETAGM"
    );
    assert_eq!(
        keyring.user_password("first", &uid, "1").unwrap().as_str(),
        "zw9nh-amvnk-0kn7x-g4xsz-wcx0t"
    );
    let sub = keyring.pairwise_subject("shop.example.org", &Subject::new("subject-ada"));
    assert_eq!(
        sub.unwrap().as_str(),
        "4nFT-pSWQ6eVZLv-tAI_ZN-539wAxqv1fGZ45sS3cvY"
    );
}

/// Apps know people by it for years: another master key, which every new secret is derived from, leaves it as it is.
#[test]
fn a_pairwise_subject_outlives_rotations_of_the_master_key() {
    let ada = Subject::new("subject-ada");
    let sub = |keyring: &Keyring, sector: &str, subject: &Subject| {
        let sub = keyring.pairwise_subject(sector, subject).unwrap();
        sub.as_str().to_owned()
    };
    let mut document = document(&KEYRING);
    let newer = Keyring::generate(at(9_000), &SystemRandom).unwrap();
    let added = self::document(&newer)["masterKeys"][0].clone();
    // Not in the order of their age.
    document["masterKeys"].as_array_mut().unwrap().insert(0, added);
    let rotated = from_value(&document);
    assert_eq!(rotated.current_master_key_id(), newer.current_master_key_id());
    assert_eq!(sub(&rotated, "a.example", &ada), sub(&KEYRING, "a.example", &ada));

    // Another sector, person or keyring: another subject.
    let all = BTreeSet::from([
        sub(&KEYRING, "a.example", &ada),
        sub(&KEYRING, "b.example", &ada),
        sub(&KEYRING, "a.example", &Subject::new("subject-bob")),
        sub(&newer, "a.example", &ada),
    ]);
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|sub| sub.len() == 43), "{all:?}");
    // `a NUL b` with `c` would otherwise be derived like `a` with `b NUL c`.
    assert!(KEYRING.pairwise_subject("a\0b", &Subject::new("c")).is_err());
    assert!(KEYRING.pairwise_subject("a", &Subject::new("b\0c")).is_err());
}

#[test]
fn derived_secrets_differ_by_master_key_uid_and_version() {
    let keyring = &*KEYRING;
    let current = keyring.current_master_key_id();
    let (a, b) = (ResourceUid::new("a"), ResourceUid::new("b"));
    let other = Keyring::generate(at(1_000), &SystemRandom).unwrap();
    let secrets: BTreeSet<String> = [
        keyring.client_secret(current, &a, "1"),
        keyring.client_secret(current, &a, "2"),
        keyring.client_secret(current, &b, "1"),
        other.client_secret(other.current_master_key_id(), &a, "1"),
        keyring.user_password(current, &a, "1"),
    ]
    .into_iter()
    .map(|secret| secret.unwrap().to_string())
    .collect();
    assert_eq!(secrets.len(), 5);
    assert!(keyring.client_secret("unknown", &a, "1").is_none());
    // `a NUL b` with `c` would otherwise be derived like `a` with `b NUL c`.
    assert!(
        keyring
            .client_secret(current, &ResourceUid::new("a\0b"), "c")
            .is_none()
    );
    assert!(keyring.client_secret(current, &a, "b\0c").is_none());
}
