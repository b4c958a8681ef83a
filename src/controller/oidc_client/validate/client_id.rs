//! Which `client_id` a client has.

use crate::controller::ControllerSettings;
use crate::controller::condition::Verdict;
use crate::crd::v1alpha1::condition::reason;
use crate::oidc::identifier::ClientId;
use crate::store::records::{ClientRecord, ResourceRef};

const FIELD: &str = "spec.clientId";
/// As in the schema.
const LONGEST: usize = 128;

/// The default, or what the spec says, where that is allowed. A client keeps the id that it has.
pub(super) fn decide(
    key: &ResourceRef,
    given: Option<&str>,
    settings: &ControllerSettings,
    known: Option<&ClientRecord>,
) -> Result<ClientId, Verdict> {
    let default = format!("{}.{}", key.namespace, key.name);
    let wanted = given.unwrap_or(&default);
    let held = known.map(|record| record.client.client_id.as_str());
    if held.is_some_and(|held| held != wanted) {
        return Err(Verdict::no(
            reason::INVALID_SPEC,
            format!("{FIELD} cannot be changed; delete the OidcClient and make it again"),
        ));
    }
    if wanted == default || held == Some(wanted) {
        return Ok(ClientId::new(wanted));
    }
    check_form(key, wanted)?;
    if !settings.allow_own_client_ids {
        return Err(Verdict::no(
            reason::NOT_ALLOWED,
            format!(
                "{FIELD} is accepted only where claviger runs with --allow-own-client-ids; ask whoever runs it, or make the \
                 OidcClient again without it, then its client id is {default}"
            ),
        ));
    }
    Ok(ClientId::new(wanted))
}

fn check_form(key: &ResourceRef, wanted: &str) -> Result<(), Verdict> {
    let invalid = |why: String| Err(Verdict::no(reason::INVALID_SPEC, format!("{FIELD} {why}")));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if wanted.is_empty() || wanted.len() > LONGEST || !wanted.bytes().all(plain) {
        return invalid(format!("must be 1 to {LONGEST} letters, digits and - . _ ~"));
    }
    // The default of a client in that namespace, today or once somebody makes the namespace.
    match wanted.split_once('.') {
        Some((namespace, _)) if namespace != key.namespace && may_be_namespace(namespace) => {
            invalid(format!(
                "must not begin with `{namespace}.`, since the ids of clients in a namespace of that name begin so; leave out \
             the dots, or begin with `{}.`",
                key.namespace
            ))
        }
        _ => Ok(()),
    }
}

/// Whether a namespace can have this name (an RFC 1123 label).
pub(super) fn may_be_namespace(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}
