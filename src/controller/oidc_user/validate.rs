//! From an `OidcUser` to a valid user. Repeats what the schema refuses.

mod standard_claims;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::ResourceExt;

use crate::controller::condition::Verdict;
use crate::controller::queue::{key_of, uid_of};
use crate::controller::text::shown;
use crate::crd::v1alpha1::condition::reason;
use crate::crd::v1alpha1::{
    MAX_NAME_LENGTH, OidcUser, OidcUserSpec, PasswordSettings, RESET_PASSWORD, RESTORE_SUBJECT,
    SecretKeySelector,
};
use crate::oidc::end_user::EndUser;
use crate::oidc::identifier::Subject;
use crate::oidc::opaque_token::TokenHash;
use crate::store::records::{ResourceRef, UserRecord};

/// Where the password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PasswordSource {
    None,
    Secret {
        name: String,
        key: String,
    },
    Generated {
        /// Names the version that was asked for; none where nobody has asked for another one than there is.
        reset: Option<String>,
    },
}

/// A user that may be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValidUser {
    pub(super) resource: ResourceRef,
    pub(super) generation: Option<i64>,
    pub(super) user: EndUser,
    pub(super) password: PasswordSource,
    /// The subject may be given to this person although its last owner was deleted.
    pub(super) restores_subject: bool,
}

/// Checks everything; the verdict names the field and says why. `known` is what the store holds of the user: a subject
/// does not change.
pub(super) fn validate(resource: &OidcUser, known: Option<&UserRecord>) -> Result<ValidUser, Verdict> {
    let (Some(key), Some(uid)) = (key_of(resource), uid_of(resource)) else {
        return Err(invalid("metadata", "has no name or uid"));
    };
    if key.name.len() > MAX_NAME_LENGTH {
        return Err(invalid("metadata.name", "must be at most 63 characters long"));
    }
    // Destructured without `..`, so that a new field does not compile until it is handled here.
    let OidcUserSpec {
        username,
        subject,
        email,
        email_verified,
        display_name,
        given_name,
        family_name,
        // What `standard_claims` reads.
        middle_name: _,
        nickname: _,
        profile: _,
        picture: _,
        website: _,
        gender: _,
        birthdate: _,
        zoneinfo: _,
        locale: _,
        phone_number: _,
        phone_number_verified: _,
        address: _,
        groups,
        disabled,
        password,
    } = &resource.spec;

    for (index, group) in groups.iter().enumerate() {
        shown(group, 128).map_err(|why| invalid(&format!("spec.groups[{index}]"), why))?;
    }
    let subject = subject.clone().unwrap_or_else(|| uid.as_str().to_owned());
    if !(1..=255).contains(&subject.len()) || !subject.bytes().all(|byte| byte.is_ascii_graphic()) {
        // OpenID Connect Core section 2.
        return Err(invalid(
            "spec.subject",
            "must be 1 to 255 printable ASCII characters without spaces",
        ));
    }
    if known.is_some_and(|known| known.user.subject.as_str() != subject) {
        return Err(Verdict::no(
            reason::SUBJECT_CONFLICT,
            "spec.subject cannot be changed, since apps know the person by it; put it back",
        ));
    }
    let restores_subject = resource
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(RESTORE_SUBJECT))
        .is_some_and(|restored| *restored == subject);
    let user = EndUser {
        uid,
        subject: Subject::new(subject),
        username: username_of(username.as_deref().unwrap_or(&key.name))?,
        name: text("spec.displayName", display_name.as_ref())?,
        given_name: text("spec.givenName", given_name.as_ref())?,
        family_name: text("spec.familyName", family_name.as_ref())?,
        email: email_of(email.as_ref())?,
        email_verified: *email_verified && email.is_some(),
        groups: groups.clone(),
        standard_claims: standard_claims::of(&resource.spec)?,
        disabled: *disabled,
    };
    Ok(ValidUser {
        resource: key,
        generation: resource.metadata.generation,
        user,
        password: password_of(password.as_ref(), resource)?,
        restores_subject,
    })
}

fn invalid(field: &str, why: &str) -> Verdict {
    Verdict::no(reason::INVALID_SPEC, format!("{field} {why}"))
}

fn text(field: &str, given: Option<&String>) -> Result<Option<String>, Verdict> {
    if let Some(given) = given {
        shown(given, 128).map_err(|why| invalid(field, why))?;
    }
    Ok(given.cloned())
}

fn username_of(given: &str) -> Result<String, Verdict> {
    let begins = given
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@+-".contains(&byte);
    if begins && given.len() <= 128 && given.bytes().all(legal) {
        Ok(given.to_owned())
    } else {
        Err(invalid(
            "spec.username",
            "must be at most 128 lower-case letters, digits and . _ @ + -, and begin with a letter or digit",
        ))
    }
}

fn email_of(given: Option<&String>) -> Result<Option<String>, Verdict> {
    let Some(email) = given else { return Ok(None) };
    let legal = email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if legal {
        Ok(Some(email.clone()))
    } else {
        Err(invalid("spec.email", "must be an address like name@example.org"))
    }
}

fn password_of(given: Option<&PasswordSettings>, resource: &OidcUser) -> Result<PasswordSource, Verdict> {
    let Some(PasswordSettings { secret_ref, generate }) = given else {
        return Ok(PasswordSource::None);
    };
    match (secret_ref, generate.unwrap_or_default()) {
        (Some(SecretKeySelector { name, key }), false) => Ok(PasswordSource::Secret {
            name: name.clone(),
            key: key.clone(),
        }),
        (None, true) => Ok(PasswordSource::Generated {
            reset: reset_of(resource),
        }),
        _ => Err(invalid(
            "spec.password",
            "needs exactly one of secretRef and generate: true",
        )),
    }
}

/// The value of the annotation as a short name: it may be long, and hold anything.
fn reset_of(resource: &OidcUser) -> Option<String> {
    let asked = resource.annotations().get(RESET_PASSWORD)?;
    (!asked.is_empty()).then(|| URL_SAFE_NO_PAD.encode(&TokenHash::of(asked.as_bytes()).as_bytes()[..9]))
}

#[cfg(test)]
mod tests;
