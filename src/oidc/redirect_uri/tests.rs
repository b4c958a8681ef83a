//! Tests over the corpus `tests/fixtures/redirect_uris.yaml`, and properties.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Corpus {
    registration: Vec<Registration>,
    matching: Vec<Matching>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepted,
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    uri: String,
    verdict: Verdict,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matching {
    registered: String,
    uri: String,
    verdict: Verdict,
    why: String,
}

fn corpus() -> Corpus {
    serde_yaml::from_str(include_str!("../../../tests/fixtures/redirect_uris.yaml")).unwrap()
}

fn verdict(accepted: bool) -> Verdict {
    if accepted {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

/// Rule 4: registration refuses fragments, userinfo, backslashes, control and non-ASCII bytes, scripts and files,
/// relative URIs, plain http outside loopback, and private-use schemes without a dot.
#[test]
fn rule_4_registration_follows_the_corpus() {
    let corpus = corpus();
    let distinct: BTreeSet<&str> = corpus.registration.iter().map(|row| row.uri.as_str()).collect();
    assert_eq!(distinct.len(), corpus.registration.len(), "each URI once");
    for Registration {
        uri,
        verdict: expected,
        why,
    } in corpus.registration
    {
        let found = RedirectUri::parse(&uri);
        assert_eq!(verdict(found.is_ok()), expected, "{uri:?} ({why}): {found:?}");
        if let Ok(parsed) = found {
            assert_eq!(parsed.as_str(), uri, "kept as written");
        }
    }
}

/// Rule 4: the message says what is wrong, so that a person can mend it.
#[test]
fn rule_4_messages_name_the_fault() {
    let table = [
        ("", RedirectUriError::Empty, "empty"),
        ("https://a.example/#x", RedirectUriError::Fragment, "fragment"),
        ("https://me@a.example/", RedirectUriError::Userinfo, "user name"),
        ("https://a.example\\x", RedirectUriError::Backslash, "backslash"),
        (
            "https://a.example/\u{7}",
            RedirectUriError::IllegalCharacter('\u{7}'),
            "'\\u{7}'",
        ),
        (
            "https://a.example/ä",
            RedirectUriError::IllegalCharacter('ä'),
            "'ä'",
        ),
        ("http://a.example/", RedirectUriError::PlainHttp, "https"),
        ("/callback", RedirectUriError::Relative, "absolute"),
        (
            "javascript:x",
            RedirectUriError::Scheme("javascript".to_owned()),
            "javascript",
        ),
        ("app:/x", RedirectUriError::Scheme("app".to_owned()), "dot"),
        ("https://a.example/*", RedirectUriError::Wildcard, "wildcards"),
        ("https://a.example:0/", RedirectUriError::Port, "port"),
        (
            "https://0x7f.1/",
            RedirectUriError::Host("0x7f.1".to_owned()),
            "0x7f.1",
        ),
        (
            "a.://:",
            RedirectUriError::Unreadable(url::ParseError::EmptyHost),
            "cannot be read",
        ),
    ];
    for (uri, error, word) in table {
        assert_eq!(RedirectUri::parse(uri), Err(error.clone()), "{uri:?}");
        let message = error.to_string();
        assert!(
            message.contains(word) && !message.contains(char::is_control),
            "{message}"
        );
    }
}

/// Rule 4: at most 2,048 characters.
#[test]
fn rule_4_length_is_bounded() {
    let start = "https://app.example.org/";
    let longest = format!("{start}{}", "a".repeat(RedirectUri::MAX_LENGTH - start.len()));
    assert!(RedirectUri::parse(&longest).is_ok());
    assert_eq!(
        RedirectUri::parse(&format!("{longest}a")),
        Err(RedirectUriError::TooLong(2049))
    );
}

/// Rule 2 (bytes are compared) and rule 3 (only the port of a loopback IP literal is free), by corpus; the rows of six
/// Keycloak advisories are among it.
#[test]
fn rule_3_matching_follows_the_corpus() {
    let corpus = corpus();
    let advisories = [
        "CVE-2024-8883",
        "CVE-2023-6291",
        "CVE-2023-6927",
        "CVE-2024-1132",
        "CVE-2022-3782",
        "CVE-2026-3872",
    ];
    for advisory in advisories {
        assert!(
            corpus.matching.iter().any(|row| row.why.contains(advisory)),
            "{advisory}"
        );
    }
    for Matching {
        registered,
        uri,
        verdict: expected,
        why,
    } in corpus.matching
    {
        assert!(RedirectUri::parse(&registered).is_ok(), "{registered:?}");
        assert_eq!(
            verdict(matches(&registered, &uri)),
            expected,
            "{registered:?} {uri:?} ({why})"
        );
    }
}

/// URIs without a free port.
fn ordinary_uri() -> impl Strategy<Value = String> {
    prop_oneof![
        "https://[a-z]{1,8}(\\.[a-z]{1,8}){1,2}(:[1-9][0-9]{1,3})?(/[a-zA-Z0-9._~%-]{0,8}){0,3}(\\?[a-z]=[a-z]{0,4})?",
        "http://localhost(:[1-9][0-9]{3})?(/[a-z]{0,8}){0,3}",
        "org\\.example\\.[a-z]{1,8}:/[a-z]{0,8}",
    ]
}

/// A loopback URI in three parts, the middle one being the port with its colon.
fn loopback_uri() -> impl Strategy<Value = (String, String, String)> {
    (
        prop_oneof![
            Just("http://127.0.0.1".to_owned()),
            Just("http://[::1]".to_owned())
        ],
        prop_oneof![
            Just(String::new()),
            (1..=u16::MAX).prop_map(|port| format!(":{port}"))
        ],
        "(/[a-zA-Z0-9._~-]{0,8}){0,3}(\\?[a-z]=[a-z]{0,4})?",
    )
}

/// Replaces, inserts or removes one byte.
fn change(text: &str, index: usize, byte: u8, kind: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    match kind % 3 {
        0 if index < bytes.len() => bytes[index] = byte,
        1 if index < bytes.len() => drop(bytes.remove(index)),
        2 => bytes.insert(index.min(bytes.len()), byte),
        _ => return None,
    }
    String::from_utf8(bytes).ok().filter(|changed| changed != text)
}

proptest! {
    /// Rule 2: any one-byte change of a registered URI is refused.
    #[test]
    fn rule_2_any_one_byte_change_is_refused(uri in ordinary_uri(), at in any::<prop::sample::Index>(), byte in 0u8..128, kind in 0u8..3) {
        prop_assert!(matches(&uri, &uri));
        if let Some(changed) = change(&uri, at.index(uri.len() + 1), byte, kind) {
            prop_assert!(!matches(&uri, &changed), "{uri:?} {changed:?}");
            prop_assert!(!matches(&changed, &uri), "{changed:?} {uri:?}");
        }
    }

    /// Rule 2: every one-byte replacement at every place, not only drawn ones.
    #[test]
    fn rule_2_every_replacement_is_refused(uri in ordinary_uri()) {
        for index in 0..uri.len() {
            for byte in 0..128 {
                if let Some(changed) = change(&uri, index, byte, 0) {
                    prop_assert!(!matches(&uri, &changed), "{uri:?} {changed:?}");
                }
            }
        }
    }

    /// Rule 3: a loopback address may differ in port and in nothing else.
    #[test]
    fn rule_3_loopback_differs_in_port_only((host, port, tail) in loopback_uri(), other in 1..=u16::MAX, at in any::<prop::sample::Index>(), byte in 0u8..128, kind in 0u8..3) {
        let registered = format!("{host}{port}{tail}");
        prop_assert!(matches(&registered, &format!("{host}:{other}{tail}")), "{registered}");
        prop_assert!(matches(&registered, &format!("{host}{tail}")), "{registered}");
        if let Some(changed) = change(&host, at.index(host.len()), byte, kind) {
            let presented = format!("{changed}:{other}{tail}");
            prop_assert!(!matches(&registered, &presented), "{registered:?} {presented:?}");
        }
        if let Some(changed) = change(&tail, at.index(tail.len() + 1), byte, kind) {
            // A digit in front of the tail lengthens the port.
            prop_assume!(changed.starts_with(['/', '?']) || changed.is_empty());
            let presented = format!("{host}:{other}{changed}");
            prop_assert!(!matches(&registered, &presented), "{registered:?} {presented:?}");
        }
    }

    /// Whatever is sent: no panic, and what is accepted is kept as it is, in ASCII without a fragment.
    #[test]
    fn rule_4_nothing_panics(text in "\\PC{0,40}|(https?|[a-z.]{1,5}):/{0,2}[\\x00-\\x7f]{0,30}") {
        if let Ok(uri) = RedirectUri::parse(&text) {
            prop_assert_eq!(uri.as_str(), &text);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\'));
            prop_assert!(Url::parse(&text).is_ok(), "{text:?}");
        }
    }
}

/// Rule 85: of a URI that was refused, the query, the fragment and what stands before an `@` are never shown; nor is
/// anything that is no URI, or that could forge a line.
#[test]
fn rule_85_what_is_shown_of_a_refused_uri() {
    for (requested, expected) in [
        ("https://shop.example.org/cb", "https://shop.example.org/cb"),
        (
            "https://shop.example.org:8443/cb?code=marked#marked",
            "https://shop.example.org:8443/cb",
        ),
        (
            "https://ada:marked@shop.example.org/cb",
            "https://shop.example.org/cb",
        ),
        ("org.example.app:/callback?x=marked", "org.example.app:/callback"),
        ("javascript:marked", "javascript:…"),
        ("data:text/html,marked", "data:…"),
        ("marked", "a text that is not an absolute URI"),
        ("", "a text that is not an absolute URI"),
        (
            "https://a.example/\r\nmarked: x\u{1b}[31m",
            "https://a.example/marked:%20x%1B[31m",
        ),
        (
            "https://b\u{fc}cher.example/\u{202e}",
            "https://xn--bcher-kva.example/%E2%80%AE",
        ),
    ] {
        assert_eq!(shown(requested), expected, "{requested:?}");
    }
    let long = format!("https://a.example/{}", "a".repeat(10_000));
    assert_eq!(shown(&long).chars().count(), MOST_SHOWN + 1);
}
