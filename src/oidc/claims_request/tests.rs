use super::*;
use crate::oidc::authentication::ACR_PASSWORD;

fn parse(text: &str) -> ClaimsRequest {
    ClaimsRequest::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn subjects_of(text: &str) -> Option<Vec<String>> {
    let subjects = parse(text).subjects?;
    Some(
        subjects
            .iter()
            .map(|subject| subject.as_str().to_owned())
            .collect(),
    )
}

/// The example of OpenID Connect Core section 5.5.
#[test]
fn the_example_of_the_specification_is_read() {
    let request = parse(
        r#"{"userinfo": {"given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
            "email_verified": {"essential": true}, "picture": null, "http://example.info/claims/groups": null},
            "id_token": {"auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"]}}}"#,
    );
    let expected = [
        Claim::GivenName,
        Claim::Nickname,
        Claim::Picture,
        Claim::Email,
        Claim::EmailVerified,
    ];
    assert_eq!(request.requested.userinfo, expected.into());
    assert_eq!(request.requested.id_token, BTreeSet::new());
    assert!(request.auth_time);
    assert_eq!(request.subjects, None);
}

#[test]
fn nothing_is_a_request_for_nothing() {
    for text in [
        "{}",
        r#"{"userinfo": null, "id_token": {}}"#,
        r#"{"other": {"email": null}}"#,
        r#"{"userinfo": {"auth_time": null, "acr": {"essential": true, "value": "x"}, "unknown": {"x": [1]}}}"#,
        r#"{"id_token": {"acr": {"essential": true}}}"#,
        r#"{"id_token": {"name#de": null, "sub": null}}"#,
    ] {
        assert_eq!(parse(text), ClaimsRequest::default(), "{text}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    for text in [
        "",
        "email",
        "[]",
        "null",
        "\"x\"",
        "{",
        "{} {}",
        r#"{"userinfo": []}"#,
        r#"{"userinfo": "email"}"#,
        r#"{"id_token": {"email": true}}"#,
        r#"{"id_token": {"email": {"essential": "yes"}}}"#,
        r#"{"id_token": {"sub": {"values": "one"}}}"#,
        r#"{"id_token": {"email": []}}"#,
    ] {
        assert_eq!(
            ClaimsRequest::parse(text),
            Err(ClaimsRequestError::Malformed),
            "{text}"
        );
    }
    let deep = format!(
        r#"{{"userinfo": {{"email": {{"value": {}}}}}}}"#,
        "[".repeat(2000)
    );
    assert_eq!(ClaimsRequest::parse(&deep), Err(ClaimsRequestError::Malformed));
    let long = format!(r#"{{"x": "{}"}}"#, "x".repeat(MAX_CLAIMS_BYTES));
    assert_eq!(ClaimsRequest::parse(&long), Err(ClaimsRequestError::TooLong));
}

#[test]
fn an_essential_acr_is_met_or_refused() {
    let with = |acr: &str| ClaimsRequest::parse(&format!(r#"{{"id_token": {{"acr": {acr}}}}}"#)).map(|_| ());
    for met in [
        format!(r#"{{"essential": true, "value": "{ACR_PASSWORD}"}}"#),
        format!(r#"{{"essential": true, "values": ["phr", "{ACR_PASSWORD}"]}}"#),
        r#"{"essential": false, "values": ["phr"]}"#.to_owned(),
        r#"{"values": ["phr"]}"#.to_owned(),
    ] {
        assert_eq!(with(&met), Ok(()), "{met}");
    }
    for unmet in [
        r#"{"essential": true, "value": "phr"}"#,
        r#"{"essential": true, "values": ["phr", "phrh"]}"#,
        r#"{"essential": true, "values": []}"#,
        r#"{"essential": true, "value": 1}"#,
    ] {
        assert_eq!(with(unmet), Err(ClaimsRequestError::AcrUnmet), "{unmet}");
    }
}

#[test]
fn a_subject_is_what_every_member_allows() {
    for (text, expected) in [
        (r#"{"id_token": {"sub": {"value": "a"}}}"#, vec!["a"]),
        (r#"{"userinfo": {"sub": {"values": ["a", "b"]}}}"#, vec!["a", "b"]),
        (
            r#"{"userinfo": {"sub": {"values": ["a", "b"]}}, "id_token": {"sub": {"values": ["b", "c"]}}}"#,
            vec!["b"],
        ),
        (
            r#"{"id_token": {"sub": {"value": "a", "values": ["b"]}}}"#,
            vec![],
        ),
        (r#"{"id_token": {"sub": {"value": 7}}}"#, vec![]),
        (r#"{"id_token": {"sub": {"values": []}}}"#, vec![]),
    ] {
        assert_eq!(subjects_of(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_client_asks_for_nothing_beyond_its_scopes() {
    let request = parse(
        r#"{"userinfo": {"email": null, "phone_number": null}, "id_token": {"groups": null, "name": null}}"#,
    );
    let within = request.requested.within(&ScopeSet::parse("openid email profile"));
    assert_eq!(within.userinfo, [Claim::Email].into());
    assert_eq!(within.id_token, [Claim::Name].into());
    assert_eq!(within.all(), [Claim::Name, Claim::Email].into());
}
