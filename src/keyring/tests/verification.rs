//! Which tokens are refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Claims, KEYRING, at, claims, document, es256_kid, header_of, jwks, sign};
use crate::keyring::{Keyring, SigningAlgorithm};
use crate::random::SystemRandom;

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap())
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

fn rejected(token: &str, typ: &str) -> &'static str {
    KEYRING.verify::<Claims>(token, typ).unwrap_err().0
}

/// Rule 48: an ID token or logout token is refused where an access token is wanted, and the other way round; the `typ`
/// of the header tells them apart, without case and with or without `application/`.
#[test]
fn rule_48_typ_tells_tokens_apart() {
    for algorithm in SigningAlgorithm::ALL {
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
