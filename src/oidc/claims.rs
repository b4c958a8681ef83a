//! Claims about the End-User (OpenID Connect Core section 5.1): what each is called, which scope gives it (section 5.4),
//! and its value.
//!
//! Since every ID token of ours comes with an access token, the claims of a scope are at userinfo only, as section 5.4
//! says. `groups` is no claim of that section: with the scope `groups`, which exists to ask for it, it is in the ID token
//! as well, because the apps that decide by groups (kube-apiserver first of all) read nothing else. What an app asks for by
//! name is in [`super::claims_request`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::end_user::EndUser;
use super::scope::{ADDRESS, EMAIL, GROUPS, PHONE, PROFILE, ScopeSet};

/// A claim about the End-User that an app may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the specification")]
pub enum Claim {
    Name,
    FamilyName,
    GivenName,
    MiddleName,
    Nickname,
    PreferredUsername,
    Profile,
    Picture,
    Website,
    Gender,
    Birthdate,
    Zoneinfo,
    Locale,
    UpdatedAt,
    Email,
    EmailVerified,
    Address,
    PhoneNumber,
    PhoneNumberVerified,
    /// Names of groups; no specification has it.
    Groups,
}

impl Claim {
    /// Every claim, in the order in which discovery lists them.
    pub const ALL: [Self; 20] = [
        Self::Name,
        Self::FamilyName,
        Self::GivenName,
        Self::MiddleName,
        Self::Nickname,
        Self::PreferredUsername,
        Self::Profile,
        Self::Picture,
        Self::Website,
        Self::Gender,
        Self::Birthdate,
        Self::Zoneinfo,
        Self::Locale,
        Self::UpdatedAt,
        Self::Email,
        Self::EmailVerified,
        Self::Address,
        Self::PhoneNumber,
        Self::PhoneNumberVerified,
        Self::Groups,
    ];

    /// The member's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::FamilyName => "family_name",
            Self::GivenName => "given_name",
            Self::MiddleName => "middle_name",
            Self::Nickname => "nickname",
            Self::PreferredUsername => "preferred_username",
            Self::Profile => "profile",
            Self::Picture => "picture",
            Self::Website => "website",
            Self::Gender => "gender",
            Self::Birthdate => "birthdate",
            Self::Zoneinfo => "zoneinfo",
            Self::Locale => "locale",
            Self::UpdatedAt => "updated_at",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
            Self::Address => "address",
            Self::PhoneNumber => "phone_number",
            Self::PhoneNumberVerified => "phone_number_verified",
            Self::Groups => "groups",
        }
    }

    /// The scope that gives it.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Name
            | Self::FamilyName
            | Self::GivenName
            | Self::MiddleName
            | Self::Nickname
            | Self::PreferredUsername
            | Self::Profile
            | Self::Picture
            | Self::Website
            | Self::Gender
            | Self::Birthdate
            | Self::Zoneinfo
            | Self::Locale
            | Self::UpdatedAt => PROFILE,
            Self::Email | Self::EmailVerified => EMAIL,
            Self::Address => ADDRESS,
            Self::PhoneNumber | Self::PhoneNumberVerified => PHONE,
            Self::Groups => GROUPS,
        }
    }

    /// What is known of `person`; `None` where that is nothing.
    fn value(self, person: &Person<'_>) -> Option<Value> {
        let Person { user, updated_at } = person;
        let standard = &user.standard_claims;
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        match self {
            Self::Name => text(&user.name),
            Self::FamilyName => text(&user.family_name),
            Self::GivenName => text(&user.given_name),
            Self::MiddleName => text(&standard.middle_name),
            Self::Nickname => text(&standard.nickname),
            Self::PreferredUsername => Some(user.username.as_str().into()),
            Self::Profile => text(&standard.profile),
            Self::Picture => text(&standard.picture),
            Self::Website => text(&standard.website),
            Self::Gender => text(&standard.gender),
            Self::Birthdate => text(&standard.birthdate),
            Self::Zoneinfo => text(&standard.zoneinfo),
            Self::Locale => text(&standard.locale),
            Self::UpdatedAt => updated_at.map(|at| at.as_second().into()),
            Self::Email => text(&user.email),
            // Nothing that is not there has been verified.
            Self::EmailVerified => user.email.is_some().then(|| user.email_verified.into()),
            Self::Address => standard
                .address
                .as_ref()
                .and_then(|address| serde_json::to_value(address).ok()),
            Self::PhoneNumber => text(&standard.phone_number),
            Self::PhoneNumberVerified => standard
                .phone_number
                .is_some()
                .then(|| standard.phone_number_verified.into()),
            // An empty list says "in no group", which differs from "not asked".
            Self::Groups => Some(user.groups.clone().into()),
        }
    }
}

/// Whom claims are about.
pub struct Person<'a> {
    /// The account as registered now.
    pub user: &'a EndUser,
    /// `updated_at`: when it was last registered with another content, if that was noted.
    pub updated_at: Option<Timestamp>,
}

/// `claims_supported` of discovery.
pub fn supported() -> Vec<&'static str> {
    let of_the_token = [
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "sid",
        "acr",
        "amr",
        "at_hash",
    ];
    let about_the_person = Claim::ALL.into_iter().map(Claim::as_str);
    of_the_token.into_iter().chain(about_the_person).collect()
}

/// The claims that `scope` gives at userinfo.
pub fn of_scope(scope: &ScopeSet) -> impl Iterator<Item = Claim> {
    Claim::ALL
        .into_iter()
        .filter(|claim| scope.contains(claim.scope()))
}

/// The claims that `scope` gives in the ID token.
pub fn of_scope_in_id_token(scope: &ScopeSet) -> impl Iterator<Item = Claim> {
    of_scope(scope).filter(|claim| *claim == Claim::Groups)
}

/// `groups`, when its scope is there; an empty list says "in no group", which differs from "not asked".
pub fn groups<'a>(user: &'a EndUser, scope: &ScopeSet) -> Option<&'a [String]> {
    scope.contains(GROUPS).then_some(user.groups.as_slice())
}

/// Names and values of `claims`. What is not known is left out (OpenID Connect Core section 5.3.2).
pub fn values(person: &Person<'_>, claims: impl Iterator<Item = Claim>) -> Map<String, Value> {
    claims
        .filter_map(|claim| Some((claim.as_str().to_owned(), claim.value(person)?)))
        .collect()
}

#[cfg(test)]
mod tests;
