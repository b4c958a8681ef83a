use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::crd::v1alpha1::SecretVersionStatus;
use crate::oidc::signing_algorithm::SigningAlgorithm;
use crate::random::SystemRandom;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn told(id: &str, master_key_id: &str, retires_at: Option<&str>) -> SecretVersionStatus {
    SecretVersionStatus {
        id: id.to_owned(),
        master_key_id: master_key_id.to_owned(),
        created_at: Time(at("2026-01-01T00:00:00Z")),
        retires_at: retires_at.map(|text| Time(at(text))),
    }
}

fn status(versions: Vec<SecretVersionStatus>) -> OidcClientStatus {
    OidcClientStatus {
        secret_versions: versions,
        ..OidcClientStatus::default()
    }
}

#[test]
fn the_first_version_is_the_same_every_time() {
    let now = at("2026-06-01T00:00:00Z");
    let keyring = Keyring::generate(now, &SystemRandom).unwrap();
    let uid = ResourceUid::new("uid-shop");
    let first = initial_versions(&keyring, &uid, None, now).unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].id, "1");
    assert_eq!(first[0].master_key_id, keyring.current_master_key_id());
    assert_eq!(
        first,
        initial_versions(&keyring, &uid, Some(&status(Vec::new())), now).unwrap()
    );

    let secret = keyring.client_secret(&first[0].master_key_id, &uid, "1").unwrap();
    assert_eq!(first[0].hash, TokenHash::of(secret.as_bytes()));
    let other = initial_versions(&keyring, &ResourceUid::new("uid-other"), None, now).unwrap();
    assert_ne!(
        first[0].hash, other[0].hash,
        "another resource has another secret"
    );
}

#[test]
fn a_lost_store_takes_the_live_versions_from_the_status() {
    let now = at("2026-06-01T00:00:00Z");
    let keyring = Keyring::generate(now, &SystemRandom).unwrap();
    let key = keyring.current_master_key_id().to_owned();
    let uid = ResourceUid::new("uid-shop");
    let status = status(vec![
        told("1", &key, Some("2026-05-31T23:59:59Z")),
        told("a", &key, Some("2026-06-01T00:00:01Z")),
        told("b", &key, None),
    ]);
    let versions = initial_versions(&keyring, &uid, Some(&status), now).unwrap();
    let ids: Vec<&str> = versions.iter().map(|version| version.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"], "a version whose time is over stays dead");
    assert_eq!(versions[1].created_at, at("2026-01-01T00:00:00Z"));
    let secret = keyring.client_secret(&key, &uid, "b").unwrap();
    assert_eq!(versions[1].hash, TokenHash::of(secret.as_bytes()));
}

#[test]
fn a_version_of_another_keyring_is_not_replaced_in_silence() {
    let now = at("2026-06-01T00:00:00Z");
    let keyring = Keyring::generate(now, &SystemRandom).unwrap();
    let uid = ResourceUid::new("uid-shop");
    let foreign = status(vec![told("1", "a key that is gone", None)]);
    assert!(initial_versions(&keyring, &uid, Some(&foreign), now).is_none());
}

#[test]
fn a_client_waits_for_the_keys_that_it_asks_for() {
    let now = at("2026-06-01T00:00:00Z");
    let keyring = Keyring::generate(now, &SystemRandom).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&keyring.to_document()).unwrap();
    document.as_object_mut().unwrap().remove("furtherSigningKeys");
    let earlier = Keyring::from_document(&serde_json::to_vec(&document).unwrap()).unwrap();
    let default = TokenSigning::default();
    let id_token = |algorithm| TokenSigning {
        id_token: algorithm,
        ..default
    };
    let access_token = |algorithm| TokenSigning {
        access_token: algorithm,
        ..default
    };
    for algorithm in SigningAlgorithm::ALL {
        for signing in [id_token(algorithm), access_token(algorithm)] {
            assert_eq!(signing_key_not_ready(&keyring, signing), None);
        }
    }
    assert_eq!(signing_key_not_ready(&earlier, default), None);
    for (signing, begins) in [
        (
            id_token(SigningAlgorithm::EdDsa),
            "spec.tokens.idTokenSignedResponseAlg EdDSA: ",
        ),
        (
            access_token(SigningAlgorithm::Ps256),
            "spec.tokens.accessTokenSigningAlg PS256: ",
        ),
    ] {
        let verdict = signing_key_not_ready(&earlier, signing).unwrap();
        assert_eq!(verdict.reason, reason::SIGNING_KEY_NOT_READY);
        assert!(verdict.message.starts_with(begins), "{}", verdict.message);
    }
}
