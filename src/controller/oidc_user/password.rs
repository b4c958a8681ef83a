//! What password a user has from now on.

use zeroize::Zeroizing;

use super::dereference::SecretValue;
use super::validate::{PasswordSource, ValidUser};
use crate::controller::ControllerContext;
use crate::controller::condition::Verdict;
use crate::controller::text;
use crate::crd::v1alpha1::PasswordVersionStatus;
use crate::crd::v1alpha1::condition::reason;
use crate::oidc::password::{self, HasherError, PasswordHash};
use crate::oidc::password_rules;
use crate::store::records::PasswordRecord;

/// The version of a generated password before anybody has asked for another.
const FIRST_VERSION: &str = "1";
/// How the source of a generated password begins; the version and the id of the master key follow.
const GENERATED: &str = "generated/";
const ARGON2ID: &str = "$argon2id$";

/// A decision. No `Debug`: it may hold a password.
pub(super) struct Password {
    /// What the store keeps.
    pub(super) record: Option<PasswordRecord>,
    /// What the condition says.
    pub(super) verdict: Verdict,
    /// The clear text of a generated password, for its Secret.
    pub(super) generated: Option<Zeroizing<String>>,
}

/// What a password is derived from, if it is a generated one.
pub(super) fn version_of(record: &PasswordRecord) -> Option<PasswordVersionStatus> {
    let (version, master_key_id) = version_and_key(&record.source)?;
    Some(PasswordVersionStatus {
        id: version.to_owned(),
        master_key_id: master_key_id.to_owned(),
    })
}

/// Decides; hashes only what has another source than `before`. What the status `told` of a generated password counts
/// where the store has lost it, so that the person keeps their password.
pub(super) async fn decide(
    context: &ControllerContext,
    valid: &ValidUser,
    value: SecretValue,
    before: Option<PasswordRecord>,
    told: Option<&PasswordVersionStatus>,
) -> Result<Password, HasherError> {
    match (&valid.password, value) {
        (PasswordSource::Generated { reset }, _) => {
            generated(context, valid, reset.as_deref(), (before, told)).await
        }
        (PasswordSource::Secret { .. }, SecretValue::Found { value, source }) => {
            from_secret(context, &value, source, before).await
        }
        // The person keeps the password that they have: a Secret that is made again in a moment must not end sessions.
        (PasswordSource::Secret { .. }, SecretValue::Missing(what)) => Ok(Password {
            record: before,
            verdict: Verdict::no(reason::SECRET_NOT_FOUND, what),
            generated: None,
        }),
        (PasswordSource::None, _) | (_, SecretValue::NotAskedFor) => Ok(Password {
            record: None,
            verdict: Verdict::no(
                reason::NO_PASSWORD,
                "the person cannot sign in without a password; set spec.password",
            ),
            generated: None,
        }),
    }
}

async fn from_secret(
    context: &ControllerContext,
    value: &[u8],
    source: String,
    before: Option<PasswordRecord>,
) -> Result<Password, HasherError> {
    let ready = || Verdict::yes(reason::READY, "the password comes from the Secret");
    if let Some(before) = before.as_ref().filter(|before| before.source == source) {
        return Ok(Password {
            record: Some(before.clone()),
            verdict: ready(),
            generated: None,
        });
    }
    let refused = |why: &str| Password {
        record: before.clone(),
        verdict: Verdict::no(reason::PASSWORD_REFUSED, format!("the value in the Secret {why}")),
        generated: None,
    };
    let Ok(value) = std::str::from_utf8(value) else {
        return Ok(refused("is not UTF-8"));
    };
    // A file that an editor wrote ends with a line break, which nobody can type into a password field.
    let value = value.strip_suffix('\n').unwrap_or(value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    let hash = if value.starts_with(ARGON2ID) {
        if let Err(why) = text::phc_argon2id(value) {
            return Ok(refused(why));
        }
        PasswordHash::from_phc(value)
    } else {
        let Some(password) = password::Password::new(value) else {
            return Ok(refused("is too long"));
        };
        if let Err(why) = password_rules::check(&password) {
            return Ok(refused(&why.to_string()));
        }
        hash(context, &password, before.as_ref()).await?
    };
    Ok(Password {
        record: Some(PasswordRecord { hash, source }),
        verdict: ready(),
        generated: None,
    })
}

/// The hash of before, where the Secret has changed and the password has not: somebody who gives the Secret a label signs
/// nobody out, and takes nobody's own password away.
async fn hash(
    context: &ControllerContext,
    password: &password::Password,
    before: Option<&PasswordRecord>,
) -> Result<PasswordHash, HasherError> {
    if let Some(before) = before
        && context.hasher.verify(password, Some(&before.hash)).await?.matches
    {
        return Ok(before.hash.clone());
    }
    context.hasher.hash(password).await
}

/// Version and master key of a generated password.
fn version_and_key(source: &str) -> Option<(&str, &str)> {
    source.strip_prefix(GENERATED)?.split_once('/')
}

async fn generated(
    context: &ControllerContext,
    valid: &ValidUser,
    reset: Option<&str>,
    (before, told): (Option<PasswordRecord>, Option<&PasswordVersionStatus>),
) -> Result<Password, HasherError> {
    let keyring = context.keyring.current();
    let known = before.as_ref().and_then(|before| version_and_key(&before.source));
    // A store that was lost knows of no password; the status does.
    let known = known.or_else(|| told.map(|told| (told.id.as_str(), told.master_key_id.as_str())));
    // An annotation that is taken away again brings no earlier password back.
    let version = reset
        .or(known.map(|(version, _)| version))
        .unwrap_or(FIRST_VERSION);
    let known = known.filter(|(known, _)| *known == version);
    // The master key of the version's first time stays, so that the password does.
    let master_key_id = known.map_or_else(|| keyring.current_master_key_id(), |(_, key)| key);
    let source = format!("{GENERATED}{version}/{master_key_id}");
    let clear = keyring.user_password(master_key_id, &valid.user.uid, version);
    let Some(clear) = clear else {
        return Ok(Password {
            record: before,
            verdict: Verdict::no(
                reason::MASTER_KEY_MISSING,
                "the keyring does not hold the master key of the generated password; restore the keyring from a backup",
            ),
            generated: None,
        });
    };
    let record = match before.filter(|before| before.source == source) {
        Some(before) => Some(before),
        None => match password::Password::new(clear.as_str()) {
            Some(password) => Some(PasswordRecord {
                hash: context.hasher.hash(&password).await?,
                source,
            }),
            None => None,
        },
    };
    Ok(Password {
        record,
        verdict: Verdict::yes(reason::READY, "the generated password is in its Secret"),
        generated: Some(clear),
    })
}
