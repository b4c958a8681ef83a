//! Tests of the keyring, by what it does; here is what they share.

mod derivation;
mod directory;
mod persistence;
mod sealing;
mod signing;
mod verification;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Keyring, SigningAlgorithm};
use crate::clock::Timestamp;
use crate::random::SystemRandom;

/// One for all tests that only read it: an RSA key takes a while to make.
static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::generate(at(1_000), &SystemRandom).unwrap());

const PURPOSE: &str = "test";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn document(keyring: &Keyring) -> Value {
    serde_json::from_slice(&keyring.to_document()).unwrap()
}

fn from_value(document: &Value) -> Keyring {
    Keyring::from_document(&serde_json::to_vec(document).unwrap()).unwrap()
}

fn jwks(keyring: &Keyring) -> Vec<Value> {
    let set: Value = serde_json::from_slice(&keyring.jwks()).unwrap();
    set["keys"].as_array().unwrap().clone()
}

fn header_of(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
}

fn claims() -> Claims {
    Claims {
        sub: "alice".to_owned(),
        exp: 2_000,
    }
}

fn sign(algorithm: SigningAlgorithm, typ: &'static str) -> String {
    KEYRING.sign(algorithm, typ, &claims(), at(1_000)).unwrap()
}

fn es256_kid() -> String {
    jwks(&KEYRING).iter().find(|key| key["alg"] == "ES256").unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}
