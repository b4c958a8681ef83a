//! Tests of the keyring.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::directory::DirectoryStorage;
use super::{Keyring, KeyringStorage, OpenKeyringError, SigningAlgorithm};
use crate::clock::Timestamp;
use crate::oidc::identifier::ResourceUid;
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

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap())
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

/// Signs a token with any header, as somebody would who holds the private key.
fn sign_with_header(header: &Value, claims: &Value) -> String {
    let document = document(&KEYRING);
    let entry = document["signingKeys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["alg"] == "ES256")
        .unwrap();
    let pkcs8 = URL_SAFE_NO_PAD.decode(entry["pkcs8"].as_str().unwrap()).unwrap();
    let pair = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &pkcs8,
    )
    .unwrap();
    let input = format!("{}.{}", encode(header), encode(claims));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input.as_bytes());
    let signature = pair.sign_digest(&hash).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

fn es256_kid() -> String {
    jwks(&KEYRING).iter().find(|key| key["alg"] == "ES256").unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn rejected(token: &str, typ: &str) -> &'static str {
    KEYRING.verify::<Claims>(token, typ).unwrap_err().0
}

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

/// Rule 51: RSA of 2048 bits or more and EC on P-256; the JWK Set carries public members only, unique `kid`s, `use` and
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
    assert_eq!(members, [rsa, ec]);
    let kids: BTreeSet<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids.len(), 2);
    assert!(keys.iter().all(|key| key["use"] == "sig"));
    let modulus = URL_SAFE_NO_PAD.decode(keys[0]["n"].as_str().unwrap()).unwrap();
    assert_eq!(modulus.len(), 256);
    assert!(modulus[0] >= 0x80, "the modulus has all of its 2048 bits");
    assert_eq!(keys[0]["e"], "AQAB");
    assert_eq!(keys[1]["crv"], "P-256");
}

/// What we sign is verified by a JOSE library that is not ours, from the JWK Set alone.
#[test]
fn signatures_verify_with_another_library() {
    use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
    let set: JwkSet = serde_json::from_slice(&KEYRING.jwks()).unwrap();
    for (algorithm, name) in [
        (SigningAlgorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        (SigningAlgorithm::Es256, jsonwebtoken::Algorithm::ES256),
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

/// Rule 48: an ID token or logout token is refused where an access token is wanted, and the other way round; the `typ`
/// of the header tells them apart, without case and with or without `application/`.
#[test]
fn rule_48_typ_tells_tokens_apart() {
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
        for (typ, others) in [
            ("at+jwt", ["JWT", "logout+jwt"]),
            ("JWT", ["at+jwt", "logout+jwt"]),
            ("logout+jwt", ["JWT", "at+jwt"]),
        ] {
            let token = sign(algorithm, typ);
            assert_eq!(header_of(&token)["typ"], typ);
            assert_eq!(KEYRING.verify::<Claims>(&token, typ).unwrap(), claims());
            for other in others {
                assert_eq!(rejected(&token, other), "its typ is another");
            }
        }
    }
    let kid = es256_kid();
    let with_typ = |typ: Value| {
        let header = json!({"alg": "ES256", "kid": kid, "typ": typ});
        sign_with_header(&header, &json!({"sub": "alice", "exp": 2_000}))
    };
    for same in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        KEYRING
            .verify::<Claims>(&with_typ(json!(same)), "at+jwt")
            .unwrap();
    }
    for other in [
        "",
        "at+jwt ",
        "application/",
        "text/at+jwt",
        "application/application/at+jwt",
        "äpplication/at+jwt",
    ] {
        assert_eq!(rejected(&with_typ(json!(other)), "at+jwt"), "its typ is another");
    }
    assert_eq!(rejected(&with_typ(Value::Null), "at+jwt"), "its typ is another");
    assert_eq!(rejected(&with_typ(json!(1)), "at+jwt"), "its header is malformed");
}

/// Rule 49: the algorithm comes from the key and not from the header; `none` and HS* over a public key are refused; `kid`
/// is an opaque look-up; `jku`, `x5u` and `jwk` are ignored; unknown `crit` is refused.
#[test]
fn rule_49_the_header_decides_nothing() {
    let kid = es256_kid();
    let body = json!({"sub": "alice", "exp": 2_000});
    let signed = |changes: &[(&str, Value)]| {
        let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": kid});
        for (name, value) in changes {
            header[*name] = value.clone();
        }
        sign_with_header(&header, &body)
    };
    KEYRING.verify::<Claims>(&signed(&[]), "at+jwt").unwrap();
    for alg in [
        "none", "NONE", "None", "HS256", "RS256", "ES384", "PS256", "es256", "",
    ] {
        assert_eq!(
            rejected(&signed(&[("alg", json!(alg))]), "at+jwt"),
            "its alg is not the key's"
        );
    }
    for unknown in [
        "",
        "../../etc/passwd",
        "' OR 1=1 --",
        &kid[..42],
        &format!("{kid}\0"),
        &kid.to_uppercase(),
    ] {
        assert_eq!(
            rejected(&signed(&[("kid", json!(unknown))]), "at+jwt"),
            "its kid is not one of ours"
        );
    }
    assert_eq!(
        rejected(&signed(&[("kid", Value::Null)]), "at+jwt"),
        "its header has no kid"
    );
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("x")] {
        assert_eq!(
            rejected(&signed(&[("crit", crit)]), "at+jwt"),
            "its header has crit"
        );
    }
    let thief = Keyring::generate(at(1_000), &SystemRandom).unwrap();
    let jwk = jwks(&thief)[1].clone();
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("jwk", jwk),
    ] {
        // Signed by us: the member changes nothing. Signed by the key that the member brings: refused.
        let token = signed(&[(name, value)]);
        KEYRING.verify::<Claims>(&token, "at+jwt").unwrap();
        let input = token.rsplit_once('.').unwrap().0;
        let foreign = thief
            .sign(SigningAlgorithm::Es256, "at+jwt", &claims(), at(1_000))
            .unwrap();
        let signature = foreign.rsplit_once('.').unwrap().1;
        assert_eq!(
            rejected(&format!("{input}.{signature}"), "at+jwt"),
            "its signature is wrong"
        );
    }
}

/// Rule 49: HS256 keyed with the published public key, the classic confusion, and the unsigned `none` token.
#[test]
fn rule_49_public_keys_are_no_hmac_keys() {
    for key in jwks(&KEYRING) {
        for alg in ["HS256", "none"] {
            let header = json!({"alg": alg, "typ": "at+jwt", "kid": key["kid"]});
            let input = format!(
                "{}.{}",
                encode(&header),
                encode(&json!({"sub": "alice", "exp": 2_000}))
            );
            let secret = serde_json::to_vec(&key).unwrap();
            let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
            let tag = aws_lc_rs::hmac::sign(&hmac, input.as_bytes());
            let signature = URL_SAFE_NO_PAD.encode(tag.as_ref());
            assert_eq!(
                rejected(&format!("{input}.{signature}"), "at+jwt"),
                "its alg is not the key's"
            );
            assert_eq!(
                rejected(&format!("{input}."), "at+jwt"),
                "its alg is not the key's"
            );
        }
    }
}

/// Rule 50: wrongly typed `exp` fails instead of being skipped.
#[test]
fn rule_50_wrongly_typed_times_fail() {
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": es256_kid()});
    for exp in [
        json!("2000"),
        json!(null),
        json!([2000]),
        json!({}),
        json!(true),
        json!(2000.5),
        json!(1e30),
    ] {
        let token = sign_with_header(&header, &json!({"sub": "alice", "exp": exp}));
        assert_eq!(rejected(&token, "at+jwt"), "its claims are malformed", "{exp}");
    }
    let token = sign_with_header(&header, &json!({"sub": "alice"}));
    assert_eq!(rejected(&token, "at+jwt"), "its claims are malformed");
}

#[test]
fn altered_and_malformed_tokens_are_refused() {
    let token = sign(SigningAlgorithm::Es256, "at+jwt");
    for length in 0..token.len() {
        assert!(
            KEYRING.verify::<Claims>(&token[..length], "at+jwt").is_err(),
            "{length}"
        );
    }
    for index in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(KEYRING.verify::<Claims>(&altered, "at+jwt").is_err(), "{index}");
    }
    for bad in [
        "",
        ".",
        "..",
        "...",
        &format!("{token}="),
        &format!("{token}.x"),
        &format!(" {token}"),
    ] {
        assert!(KEYRING.verify::<Claims>(bad, "at+jwt").is_err(), "{bad}");
    }
    assert_eq!(rejected(&"a".repeat(1 << 20), "at+jwt"), "it is too long");
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
    assert_eq!(jwks(&keyring).len(), 3);
    keyring.forget_past(at(8_999));
    assert_eq!(jwks(&keyring).len(), 3);
    keyring.forget_past(at(9_000));
    assert_eq!(jwks(&keyring).len(), 2);
    assert_eq!(signer(&keyring, 9_000), new_kid);
    let old_token = sign(SigningAlgorithm::Es256, "at+jwt");
    assert!(keyring.verify::<Claims>(&old_token, "at+jwt").is_err());
}

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
    let keys: Vec<&str> = ["masterKeys", "sealingKeys", "signingKeys"]
        .iter()
        .flat_map(|kind| document[kind].as_array().unwrap())
        .map(|entry| entry.get("key").unwrap_or(&entry["pkcs8"]).as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 4);
    let leaves = [
        String::from_utf8(KEYRING.jwks().to_vec()).unwrap(),
        sign(SigningAlgorithm::Rs256, "JWT"),
        sign(SigningAlgorithm::Es256, "at+jwt"),
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

async fn open(storage: &DirectoryStorage, may_create: bool) -> Result<Keyring, OpenKeyringError> {
    Keyring::load_or_create(storage, may_create, at(1_000), &SystemRandom).await
}

#[tokio::test]
async fn a_directory_keeps_the_keyring() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a/keyring");
    let storage = DirectoryStorage::new(&directory);
    let error = open(&storage, false).await.err().unwrap();
    assert!(matches!(error, OpenKeyringError::Missing { .. }));
    assert!(error.to_string().contains("keyring.json"), "{error}");
    assert!(error.to_string().contains("restore"), "{error}");
    assert!(!directory.exists(), "a refusal leaves nothing behind");

    let made = open(&storage, true).await.unwrap();
    let again = open(&storage, false).await.unwrap();
    assert_eq!(made.id(), again.id());
    assert_eq!(made.jwks(), again.jwks());
    let permissions = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(permissions(&directory), 0o700);
    assert_eq!(permissions(&directory.join("keyring.json")), 0o600);
    assert!(!storage.create(b"another").await.unwrap(), "never overwritten");
    let names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["keyring.json"], "no temporary file is left");

    std::fs::write(directory.join("keyring.json"), b"{").unwrap();
    let error = open(&storage, true).await.err().unwrap();
    assert!(matches!(error, OpenKeyringError::Malformed { .. }));
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// The document is replaced as a whole, by whoever knows what is there, and by nobody else.
#[tokio::test]
async fn a_directory_replaces_only_what_was_loaded() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::new(folder.path());
    assert!(
        !storage.replace("unknown", b"next").await.unwrap(),
        "there is nothing"
    );
    assert!(storage.create(b"first").await.unwrap());
    let first = storage.load().await.unwrap().unwrap();
    assert!(!storage.replace("unknown", b"next").await.unwrap());
    assert!(storage.replace(&first.version, b"second").await.unwrap());
    assert!(
        !storage.replace(&first.version, b"third").await.unwrap(),
        "somebody was quicker"
    );
    let second = storage.load().await.unwrap().unwrap();
    assert_eq!(second.document.as_slice(), b"second");
    let path = folder.path().join("keyring.json");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no temporary file is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_create_at_once_end_with_one_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("keyring");
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let storage = DirectoryStorage::new(&directory);
            tokio::spawn(async move { open(&storage, true).await.unwrap().id().to_owned() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn an_unusable_directory_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let storage = DirectoryStorage::new(file.join("keyring"));
    let error = open(&storage, true).await.err().unwrap();
    assert!(matches!(error, OpenKeyringError::Storage(_)));
    assert!(error.to_string().contains("keyring.json"), "{error}");
}
