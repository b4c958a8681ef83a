//! The document: what it keeps, what it refuses, and what nothing of it shows.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Claims, KEYRING, PURPOSE, at, claims, document, from_value, jwks, sign};
use crate::keyring::{Keyring, SigningAlgorithm};
use crate::oidc::identifier::ResourceUid;
use crate::random::SystemRandom;

#[test]
fn the_document_keeps_everything() {
    let read = Keyring::from_document(&KEYRING.to_document()).unwrap();
    assert_eq!(read.id(), KEYRING.id());
    assert_eq!(read.jwks(), KEYRING.jwks());
    let uid = ResourceUid::new("a");
    let current = KEYRING.current_master_key_id();
    assert_eq!(read.current_master_key_id(), current);
    assert_eq!(
        read.client_secret(current, &uid, "1"),
        KEYRING.client_secret(current, &uid, "1")
    );
    let token = sign(SigningAlgorithm::Es256, "at+jwt");
    assert_eq!(read.verify::<Claims>(&token, "at+jwt").unwrap(), claims());
    let sealed = KEYRING.seal(PURPOSE, b"text", &SystemRandom).unwrap();
    assert_eq!(read.open(PURPOSE, &sealed).unwrap().as_slice(), b"text");
}

/// An earlier version refuses a document with an `alg` that it does not know, so the keys of the later algorithms are where
/// it does not look; and its own documents, which lack them, are read.
#[test]
fn earlier_versions_and_this_one_read_each_others_documents() {
    let mut document = document(&KEYRING);
    let algorithms = |keys: &Value| -> Vec<String> {
        let keys = keys.as_array().unwrap().iter();
        keys.map(|key| key["alg"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(algorithms(&document["signingKeys"]), ["RS256", "ES256"]);
    assert_eq!(algorithms(&document["furtherSigningKeys"]), ["PS256", "EdDSA"]);
    assert_eq!(document["version"], 1);

    document.as_object_mut().unwrap().remove("furtherSigningKeys");
    let earlier = from_value(&document);
    assert_eq!(jwks(&earlier), jwks(&KEYRING)[..2]);
    for algorithm in SigningAlgorithm::ALL {
        let known = matches!(algorithm, SigningAlgorithm::Rs256 | SigningAlgorithm::Es256);
        assert_eq!(earlier.can_sign(algorithm), known);
        let signed = earlier.sign(algorithm, "JWT", &claims(), at(1_000));
        assert_eq!(signed.is_ok(), known);
    }
}

#[test]
fn a_malformed_document_is_told_in_one_line_without_its_keys() {
    let whole = KEYRING.to_document();
    let good = document(&KEYRING);
    let mut cases = vec![
        b"".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        whole[..whole.len() / 2].to_vec(),
    ];
    let changes: [(&str, Value); 9] = [
        ("/version", json!(2)),
        ("/id", json!("")),
        ("/masterKeys", json!([])),
        ("/sealingKeys", json!([])),
        ("/signingKeys", json!([good["signingKeys"][0]])),
        (
            "/signingKeys",
            json!([
                good["signingKeys"][0],
                good["signingKeys"][0],
                good["signingKeys"][1]
            ]),
        ),
        ("/signingKeys/0/pkcs8", good["signingKeys"][1]["pkcs8"].clone()),
        ("/masterKeys/0/key", json!("SECRETSECRET")),
        ("/sealingKeys/0/key", json!("SECRET/SECRET")),
    ];
    for (pointer, value) in changes {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        cases.push(serde_json::to_vec(&other).unwrap());
    }
    for case in cases {
        let shown = String::from_utf8_lossy(&case).into_owned();
        let Err(error) = Keyring::from_document(&case) else {
            panic!("accepted: {shown}");
        };
        let message = error.to_string();
        assert!(
            !message.contains('\n') && !message.contains("SECRET"),
            "{message}"
        );
    }
}

/// Fails to compile where a type has the trait: then both implementations fit and `_` cannot be chosen.
macro_rules! assert_lacks {
    ($type:ty: $($bound:path),+) => {
        $({
            trait AmbiguousIfImplemented<A> {
                const NONE: () = ();
            }
            struct Implemented;
            impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
            impl<T: ?Sized + $bound> AmbiguousIfImplemented<Implemented> for T {}
            <$type as AmbiguousIfImplemented<_>>::NONE
        })+
    };
}

/// Rule 53: private keys are never shown: what holds them cannot be formatted or serialised, and nothing that leaves the
/// keyring contains one. In a directory they are readable by their owner only (`a_directory_keeps_the_keyring`), and no
/// message repeats one (`a_malformed_document_is_told_in_one_line_without_its_keys`).
#[test]
fn rule_53_private_keys_are_never_shown() {
    assert_lacks!(Keyring: std::fmt::Debug, std::fmt::Display, Serialize);
    let document = document(&KEYRING);
    let keys: Vec<&str> = ["masterKeys", "sealingKeys", "signingKeys", "furtherSigningKeys"]
        .iter()
        .flat_map(|kind| document[kind].as_array().unwrap())
        .map(|entry| entry.get("key").unwrap_or(&entry["pkcs8"]).as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 6);
    let leaves = [
        String::from_utf8(KEYRING.jwks().to_vec()).unwrap(),
        sign(SigningAlgorithm::Rs256, "JWT"),
        sign(SigningAlgorithm::Es256, "at+jwt"),
        sign(SigningAlgorithm::EdDsa, "JWT"),
        KEYRING.seal(PURPOSE, b"plain", &SystemRandom).unwrap(),
    ];
    for left in leaves {
        for key in &keys {
            // The middle of a PKCS#8 document is private; its end repeats the public key.
            let part = &key[key.len() / 4..key.len() / 4 + 20];
            assert!(!left.contains(part), "{left}");
        }
    }
}
