//! `sid`: names a session to one client (OpenID Connect Back-Channel Logout section 2.1, RP-Initiated Logout section 2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::identifier::ResourceUid;
use super::opaque_token::TokenHash;

/// The value for a client. It is derived from what the store keeps of the session, which holds 256 random bits, so it says
/// nothing of the cookie's value; and no two clients can tell by it that they have the same person at the same browser.
pub fn sid(session: &TokenHash, client: &ResourceUid) -> String {
    let input = [
        b"claviger/sid/v1\0",
        &session.as_bytes()[..],
        client.as_str().as_bytes(),
    ]
    .concat();
    URL_SAFE_NO_PAD.encode(&TokenHash::of(&input).as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_of_one_session_and_one_client() {
        let session = TokenHash::of(b"session");
        let client = ResourceUid::new("client");
        let one = sid(&session, &client);
        assert_eq!(one, sid(&session, &client));
        assert_eq!(one.len(), 22);
        assert_ne!(one, sid(&TokenHash::of(b"another"), &client));
        assert_ne!(one, sid(&session, &ResourceUid::new("another")));
    }
}
