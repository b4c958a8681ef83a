//! Audit events: what happened to whom, as ids only, under a log target of their own.

use tracing::field;

use crate::oidc::audit::TARGET;
use crate::oidc::identifier::{ClientId, GrantId, Subject};

/// One event; ids that do not apply are left out.
#[derive(Clone, Copy, Default)]
pub struct Event<'a> {
    /// What happened.
    pub name: &'static str,
    /// To which client.
    pub client_id: Option<&'a ClientId>,
    /// To whom.
    pub subject: Option<&'a Subject>,
    /// Under which grant.
    pub grant: Option<&'a GrantId>,
}

/// Writes the event. The request's id comes from the surrounding span.
pub fn record(event: &Event<'_>) {
    tracing::info!(
        target: TARGET,
        event = event.name,
        client_id = event.client_id.map(field::display),
        subject = event.subject.map(field::display),
        grant = event.grant.map(field::display),
    );
}
