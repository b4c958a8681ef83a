//! Profiles that a client may be held to: what the FAPI 2.0 Security Profile (sections 5.3.2 and 5.4) asks beyond what every
//! client is held to anyway.
//!
//! Everybody has codes of a minute that count once, `iss` in every response, `response_type=code` alone, pushed requests
//! of a minute, and the issuer as the only audience of an assertion. The rest is here, and whoever decides asks the client:
//! what a client is registered for counts only as far as its profile admits it, whoever wrote the record.

use serde::{Deserialize, Serialize};

use super::client::{Client, ClientAuthenticationMethod, Pkce, ServiceAccount, TokenSigning};
use super::grant_type::GrantType;
use super::jwk::SignatureAlgorithm;
use super::signing_algorithm::SigningAlgorithm;

/// A profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// The FAPI 2.0 Security Profile, with `private_key_jwt` and DPoP of the ways that it offers.
    #[serde(rename = "FAPI2")]
    Fapi2,
}

/// Section 5.4.1.
const FAPI2_ALGORITHMS: [SignatureAlgorithm; 3] = [
    SignatureAlgorithm::Ps256,
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::EdDsa,
];

impl Client {
    /// Whether it may authenticate so: section 5.3.2.1 admits neither secrets nor public clients.
    pub fn may_authenticate_by(&self, method: ClientAuthenticationMethod) -> bool {
        let is_admitted = match self.profile {
            None => true,
            Some(Profile::Fapi2) => method == ClientAuthenticationMethod::PrivateKeyJwt,
        };
        is_admitted && self.token_endpoint_auth_methods.contains(&method)
    }

    /// The ServiceAccounts whose tokens authenticate it. Such a token is presented again and again until it ends, and signed by
    /// RS256 in most clusters: no assertion in the sense of section 5.3.2.1.
    pub fn admitted_service_accounts(&self) -> &[ServiceAccount] {
        match self.profile {
            None => &self.service_accounts,
            Some(Profile::Fapi2) => &[],
        }
    }

    /// Whether it may use the grant type: a device's request is not pushed, which section 5.3.2.2 requires.
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        let is_admitted = match self.profile {
            None => true,
            Some(Profile::Fapi2) => match grant_type {
                GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::ClientCredentials => true,
                GrantType::DeviceCode => false,
            },
        };
        is_admitted && self.grant_types.contains(&grant_type)
    }

    /// Whether people may be sent there: section 5.3.2.2, without its exception for native clients, which are public.
    pub fn may_redirect_to(&self, redirect_uri: &str) -> bool {
        match self.profile {
            None => true,
            Some(Profile::Fapi2) => redirect_uri.starts_with("https://"),
        }
    }

    /// Whether an authorization request needs a `code_challenge`. A public client's always does: nothing else ties a code
    /// to whoever asked for it (RFC 9700 section 2.1.1).
    pub fn requires_pkce(&self) -> bool {
        self.pkce == Pkce::Required || self.is_public() || self.profile.is_some()
    }

    /// Whether an authorization request must have been pushed.
    pub fn requires_pushed_requests(&self) -> bool {
        self.require_pushed_authorization_requests || self.profile.is_some()
    }

    /// Whether every token request needs a proof of a key.
    pub fn requires_dpop(&self) -> bool {
        self.dpop_bound_access_tokens || self.profile.is_some()
    }

    /// Whether a refresh token is good once and has a successor. Section 5.3.2.1 forbids it: an app that loses an answer would
    /// lose its grant, and who holds such a token alone can do nothing with it.
    pub fn rotates_refresh_tokens(&self) -> bool {
        self.profile.is_none()
    }

    /// By which algorithms it may sign.
    pub fn signature_algorithms(&self) -> &'static [SignatureAlgorithm] {
        match self.profile {
            None => &SignatureAlgorithm::ALL,
            Some(Profile::Fapi2) => &FAPI2_ALGORITHMS,
        }
    }

    /// By which algorithms what it is given is signed.
    pub fn token_signing(&self) -> TokenSigning {
        let admitted = |algorithm| match self.profile {
            None => algorithm,
            Some(Profile::Fapi2) => match algorithm {
                SigningAlgorithm::Rs256 => SigningAlgorithm::Es256,
                SigningAlgorithm::Es256 | SigningAlgorithm::Ps256 | SigningAlgorithm::EdDsa => algorithm,
            },
        };
        TokenSigning {
            id_token: admitted(self.signing.id_token),
            access_token: admitted(self.signing.access_token),
        }
    }
}
