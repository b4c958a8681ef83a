//! Provider metadata (OpenID Connect Discovery section 3, RFC 8414 section 2) and the endpoints' paths.
//!
//! It advertises exactly what works: lists come from the types that the endpoints themselves use.

use serde::Serialize;

use super::authentication::SUPPORTED_ACR_VALUES;
use super::claims;
use super::client::{ClientAuthenticationMethod, SubjectType};
use super::grant_type::GrantType;
use super::issuer::Issuer;
use super::jwk::SignatureAlgorithm;
use super::response_mode::ResponseMode;
use super::scope;
use super::signing_algorithm::SigningAlgorithm;

/// The authorization endpoint, below the issuer.
pub const AUTHORIZATION_PATH: &str = "/authorize";
/// The token endpoint, below the issuer. The path is part of the contract with apps that do not read discovery; it carries
/// a version so that an endpoint with another contract can stand beside it.
pub const TOKEN_PATH: &str = "/api/token/v2";
/// The userinfo endpoint, below the issuer.
pub const USERINFO_PATH: &str = "/api/userinfo";
/// The revocation endpoint (RFC 7009), below the issuer.
pub const REVOCATION_PATH: &str = "/api/revoke";
/// The introspection endpoint (RFC 7662), below the issuer.
pub const INTROSPECTION_PATH: &str = "/api/introspect";
/// The pushed authorization request endpoint (RFC 9126), below the issuer.
pub const PUSHED_AUTHORIZATION_REQUEST_PATH: &str = "/api/par";
/// The device authorization endpoint (RFC 8628), below the issuer.
pub const DEVICE_AUTHORIZATION_PATH: &str = "/api/device";
/// `verification_uri` of RFC 8628, where people type a user code, below the issuer.
pub const VERIFICATION_PATH: &str = "/device";
/// The JWK Set, below the issuer.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";
/// The end session endpoint (RP-Initiated Logout section 2), where people sign out too, below the issuer.
pub const END_SESSION_PATH: &str = "/logout";
/// OpenID Connect Discovery section 4.
pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// RFC 8414 section 3.
pub const AUTHORIZATION_SERVER_PATH: &str = "/.well-known/oauth-authorization-server";

/// The document.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the members of the specification")]
struct ProviderMetadata<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    pushed_authorization_request_endpoint: String,
    device_authorization_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: String,
    scopes_supported: &'a [&'a str],
    response_types_supported: [&'a str; 1],
    response_modes_supported: Vec<&'a str>,
    grant_types_supported: Vec<&'a str>,
    subject_types_supported: [&'a str; 2],
    id_token_signing_alg_values_supported: [&'a str; 4],
    token_endpoint_auth_methods_supported: Vec<&'a str>,
    token_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    revocation_endpoint_auth_methods_supported: Vec<&'a str>,
    revocation_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    introspection_endpoint_auth_methods_supported: Vec<&'a str>,
    introspection_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    code_challenge_methods_supported: [&'a str; 1],
    prompt_values_supported: [&'a str; 4],
    display_values_supported: [&'a str; 1],
    ui_locales_supported: [&'a str; 1],
    claim_types_supported: [&'a str; 1],
    claims_supported: Vec<&'a str>,
    acr_values_supported: [&'a str; 1],
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_object_signing_alg_values_supported: &'a [&'a str],
    dpop_signing_alg_values_supported: &'a [&'a str],
    request_uri_parameter_supported: bool,
    require_request_uri_registration: bool,
    require_pushed_authorization_requests: bool,
    authorization_response_iss_parameter_supported: bool,
    backchannel_logout_supported: bool,
    backchannel_logout_session_supported: bool,
}

/// The document as JSON.
pub fn document(issuer: &Issuer) -> Vec<u8> {
    let methods = ClientAuthenticationMethod::ALL.map(ClientAuthenticationMethod::as_str);
    // A public client may not introspect.
    let confidential = methods
        .into_iter()
        .filter(|method| *method != ClientAuthenticationMethod::None.as_str());
    // Everything that a client signs is verified by the same keys.
    let client_algorithms = SignatureAlgorithm::ALL.map(SignatureAlgorithm::as_str);
    let metadata = ProviderMetadata {
        issuer: issuer.as_str(),
        authorization_endpoint: issuer.endpoint(AUTHORIZATION_PATH),
        token_endpoint: issuer.endpoint(TOKEN_PATH),
        userinfo_endpoint: issuer.endpoint(USERINFO_PATH),
        revocation_endpoint: issuer.endpoint(REVOCATION_PATH),
        introspection_endpoint: issuer.endpoint(INTROSPECTION_PATH),
        pushed_authorization_request_endpoint: issuer.endpoint(PUSHED_AUTHORIZATION_REQUEST_PATH),
        device_authorization_endpoint: issuer.endpoint(DEVICE_AUTHORIZATION_PATH),
        jwks_uri: issuer.endpoint(JWKS_PATH),
        end_session_endpoint: issuer.endpoint(END_SESSION_PATH),
        scopes_supported: &scope::SUPPORTED,
        response_types_supported: ["code"],
        response_modes_supported: ResponseMode::ALL.map(ResponseMode::as_str).to_vec(),
        grant_types_supported: GrantType::ALL.map(GrantType::as_str).to_vec(),
        subject_types_supported: SubjectType::SUPPORTED,
        id_token_signing_alg_values_supported: SigningAlgorithm::ALL.map(SigningAlgorithm::name),
        token_endpoint_auth_methods_supported: methods.to_vec(),
        token_endpoint_auth_signing_alg_values_supported: &client_algorithms,
        revocation_endpoint_auth_methods_supported: methods.to_vec(),
        revocation_endpoint_auth_signing_alg_values_supported: &client_algorithms,
        introspection_endpoint_auth_methods_supported: confidential.collect(),
        introspection_endpoint_auth_signing_alg_values_supported: &client_algorithms,
        code_challenge_methods_supported: ["S256"],
        prompt_values_supported: ["none", "login", "consent", "select_account"],
        // What is shown whatever is asked for.
        display_values_supported: ["page"],
        ui_locales_supported: ["en"],
        claim_types_supported: ["normal"],
        claims_supported: claims::supported(),
        acr_values_supported: SUPPORTED_ACR_VALUES,
        claims_parameter_supported: true,
        request_parameter_supported: true,
        request_object_signing_alg_values_supported: &client_algorithms,
        dpop_signing_alg_values_supported: &client_algorithms,
        // The default of OpenID Connect Discovery is true, so it must be said. It is about URIs that would be fetched; those of
        // pushed requests are told by their endpoint (RFC 9126 section 5).
        request_uri_parameter_supported: false,
        require_request_uri_registration: false,
        // Of every client, that is; one alone may be registered so (RFC 9126 section 6).
        require_pushed_authorization_requests: false,
        authorization_response_iss_parameter_supported: true,
        backchannel_logout_supported: true,
        backchannel_logout_session_supported: true,
    };
    // `Value` first: its `Display` cannot fail, so there is no error that nobody could handle.
    serde_json::json!(metadata).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_made_of_the_issuer_byte_for_byte() {
        for text in [
            "https://id.example.org",
            "https://id.example.org/tenant",
            "http://127.0.0.1:8080",
        ] {
            let issuer = Issuer::parse(text).unwrap();
            let document: serde_json::Value = serde_json::from_slice(&document(&issuer)).unwrap();
            assert_eq!(document["issuer"], text);
            assert_eq!(document["token_endpoint"], format!("{text}/api/token/v2"));
            assert_eq!(document["jwks_uri"], format!("{text}/.well-known/jwks.json"));
        }
    }
}
