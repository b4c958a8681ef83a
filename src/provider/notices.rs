//! What the owner of a client should hear of although they did not ask. Declared here and implemented by whoever can tell
//! them.

use crate::store::records::ClientRecord;

/// Tells the owner of a client. Must not block, and decides how often it tells: strangers can bring a notice about as often
/// as they like.
pub trait Notices: Send + Sync + 'static {
    /// A request asked to send a person somewhere that is not registered. `shown` is what may be shown of the URI.
    fn redirect_uri_rejected(&self, client: &ClientRecord, shown: &str);

    /// Somebody who says to be the client presented an assertion that does not authenticate it. `why` is a sentence about it,
    /// which goes on after "the assertion is refused:" and shows nothing of what was sent.
    fn client_assertion_rejected(&self, client: &ClientRecord, why: &'static str);

    /// The client was to be told that a session ended, and could not be. Why is not said: who chooses the URI would learn what
    /// answers where they cannot look themselves.
    fn logout_token_given_up(&self, client: &ClientRecord);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Untold;

impl Notices for Untold {
    fn redirect_uri_rejected(&self, _: &ClientRecord, _: &str) {}

    fn client_assertion_rejected(&self, _: &ClientRecord, _: &'static str) {}

    fn logout_token_given_up(&self, _: &ClientRecord) {}
}
