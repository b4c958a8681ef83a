//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Whether `text` can be an S256 challenge: base64url of a SHA-256 without padding (RFC 7636 section 4.2).
pub fn is_code_challenge(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|hash| hash.len() == 32)
}

/// The challenge that belongs to a verifier; `None` when `verifier` is not 43 to 128 unreserved characters (RFC 7636
/// section 4.1).
pub fn code_challenge(verifier: &str) -> Option<String> {
    let legal = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    legal.then(|| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636 appendix B.
    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(
            code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").as_deref(),
            Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        );
    }

    /// A verifier has 43 to 128 legal characters (rule 11).
    #[test]
    fn rule_11_a_verifier_has_43_to_128_legal_characters() {
        let table = [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("-._~".repeat(32), true),
            ("a".repeat(129), false),
            ("a".repeat(42) + "+", false),
            ("a".repeat(42) + "=", false),
            ("a".repeat(42) + " ", false),
            ("ä".repeat(43), false),
        ];
        for (verifier, legal) in table {
            assert_eq!(code_challenge(&verifier).is_some(), legal, "{verifier}");
        }
    }

    #[test]
    fn a_challenge_is_a_sha_256_in_base64url() {
        assert!(is_code_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        for wrong in [
            "",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN",
        ] {
            assert!(!is_code_challenge(wrong), "{wrong}");
        }
    }
}
