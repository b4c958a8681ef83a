//! Claims about the End-User: which scope gives which (OpenID Connect Core section 5.4).
//!
//! Since every ID token of ours comes with an access token, claims of `profile` and `email` are at userinfo only, as
//! section 5.4 says. `groups` is no claim of that section: with the scope `groups`, which exists to ask for it, it is in
//! the ID token as well, because the apps that decide by groups (kube-apiserver first of all) read nothing else.

use serde::Serialize;

use super::end_user::EndUser;
use super::scope::{EMAIL, GROUPS, PROFILE, ScopeSet};

/// `claims_supported` of discovery.
pub const SUPPORTED: [&str; 15] = [
    "sub",
    "iss",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "sid",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "email",
    "email_verified",
    "groups",
];

/// The claims of a userinfo response (OpenID Connect Core section 5.3.2). What is not known is left out.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct UserinfoClaims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [String]>,
}

impl<'a> UserinfoClaims<'a> {
    /// What `scope` gives of `user`.
    pub fn of(user: &'a EndUser, scope: &ScopeSet) -> Self {
        let profile = scope.contains(PROFILE);
        let email = user.email.as_deref().filter(|_| scope.contains(EMAIL));
        Self {
            sub: user.subject.as_str(),
            name: user.name.as_deref().filter(|_| profile),
            given_name: user.given_name.as_deref().filter(|_| profile),
            family_name: user.family_name.as_deref().filter(|_| profile),
            preferred_username: Some(user.username.as_str()).filter(|_| profile),
            email,
            email_verified: email.map(|_| user.email_verified),
            groups: groups(user, scope),
        }
    }
}

/// `groups`, when its scope is there; an empty list says "in no group", which differs from "not asked".
pub fn groups<'a>(user: &'a EndUser, scope: &ScopeSet) -> Option<&'a [String]> {
    scope.contains(GROUPS).then_some(user.groups.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::identifier::{ResourceUid, Subject};

    fn ada() -> EndUser {
        EndUser {
            uid: ResourceUid::new("uid"),
            subject: Subject::new("subject"),
            username: "ada".into(),
            name: Some("Ada Lovelace".into()),
            given_name: Some("Ada".into()),
            family_name: None,
            email: Some("ada@example.org".into()),
            email_verified: true,
            groups: vec!["engine".into()],
            disabled: false,
        }
    }

    #[test]
    fn each_scope_gives_its_claims_and_no_others() {
        let table = [
            ("openid", r#"{"sub":"subject"}"#),
            (
                "openid profile",
                r#"{"sub":"subject","name":"Ada Lovelace","given_name":"Ada","preferred_username":"ada"}"#,
            ),
            (
                "openid email",
                r#"{"sub":"subject","email":"ada@example.org","email_verified":true}"#,
            ),
            ("openid groups", r#"{"sub":"subject","groups":["engine"]}"#),
            ("openid offline_access", r#"{"sub":"subject"}"#),
        ];
        for (scope, expected) in table {
            let user = ada();
            let claims = UserinfoClaims::of(&user, &ScopeSet::parse(scope));
            assert_eq!(serde_json::to_string(&claims).unwrap(), expected, "{scope}");
        }
    }

    #[test]
    fn a_user_without_an_address_has_no_verified_one() {
        let user = EndUser { email: None, ..ada() };
        let claims = UserinfoClaims::of(&user, &ScopeSet::parse("openid email"));
        assert_eq!(serde_json::to_string(&claims).unwrap(), r#"{"sub":"subject"}"#);
    }
}
