//! The pure core: the vocabulary of OAuth 2.0 and OpenID Connect and the rules of their specifications.
//!
//! Nothing here does I/O, is async, or reads a clock: functions take values and return values. Names are the
//! specifications' own.

pub mod access;
pub mod access_token;
pub mod allowed_origin;
pub mod audience;
pub mod audit;
pub mod authentication;
pub mod authorization_request;
pub mod authorization_response;
pub mod claims;
pub mod claims_request;
pub mod client;
pub mod client_assertion;
pub mod client_credentials;
pub mod consent;
pub mod discovery;
pub mod dpop_proof;
pub mod end_user;
pub mod error;
pub mod grant_type;
pub mod id_token;
pub mod identifier;
pub mod issuer;
pub mod jwk;
pub mod jws;
pub mod logout_token;
pub mod opaque_token;
pub mod parameters;
pub mod password;
pub mod password_rules;
pub mod pkce;
pub mod profile;
pub mod redirect_uri;
pub mod request_object;
pub mod response_mode;
pub mod scope;
pub mod sector_identifier;
pub mod service_account_token;
pub mod session_id;
pub mod signing_algorithm;
pub mod standard_claims;
pub mod thumbprint;
pub mod user_code;
