//! What is sealed opens again, for its purpose only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{KEYRING, PURPOSE, at, document, from_value};
use crate::keyring::Keyring;
use crate::random::SystemRandom;

#[test]
fn sealed_text_opens_for_its_purpose_only_and_unaltered() {
    let sealed = KEYRING.seal(PURPOSE, b"plain text", &SystemRandom).unwrap();
    assert_ne!(
        sealed,
        KEYRING.seal(PURPOSE, b"plain text", &SystemRandom).unwrap()
    );
    assert_eq!(KEYRING.open(PURPOSE, &sealed).unwrap().as_slice(), b"plain text");
    assert!(KEYRING.open("another", &sealed).is_none());
    let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"plain"));
    for index in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[index] ^= 1;
        assert!(
            KEYRING.open(PURPOSE, &URL_SAFE_NO_PAD.encode(&altered)).is_none(),
            "{index}"
        );
        assert!(
            KEYRING
                .open(PURPOSE, &URL_SAFE_NO_PAD.encode(&bytes[..index]))
                .is_none(),
            "{index}"
        );
    }
    let other = Keyring::generate(at(1_000), &SystemRandom).unwrap();
    assert!(other.open(PURPOSE, &sealed).is_none());
    let empty = KEYRING.seal(PURPOSE, b"", &SystemRandom).unwrap();
    assert_eq!(KEYRING.open(PURPOSE, &empty).unwrap().as_slice(), b"");
}

/// After a new sealing key came, what the old one sealed still opens.
#[test]
fn sealing_keys_are_found_by_id() {
    let sealed = KEYRING.seal(PURPOSE, b"old", &SystemRandom).unwrap();
    let newer = document(&Keyring::generate(at(2_000), &SystemRandom).unwrap());
    let mut document = document(&KEYRING);
    document["sealingKeys"]
        .as_array_mut()
        .unwrap()
        .insert(0, newer["sealingKeys"][0].clone());
    let keyring = from_value(&document);
    assert_eq!(keyring.open(PURPOSE, &sealed).unwrap().as_slice(), b"old");
    let resealed = keyring.seal(PURPOSE, b"new", &SystemRandom).unwrap();
    assert!(KEYRING.open(PURPOSE, &resealed).is_none(), "the newest key seals");
    assert_eq!(keyring.open(PURPOSE, &resealed).unwrap().as_slice(), b"new");
}
