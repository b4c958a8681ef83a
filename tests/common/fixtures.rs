//! Sample values. Each function gives something complete and valid; tests change the one thing that they are about.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeSet;
use std::time::Duration;

use claviger::clock::{Timestamp, later};
use claviger::oidc::access::Access;
use claviger::oidc::authentication::{Authentication, AuthenticationMethod};
use claviger::oidc::authorization_request::{AuthorizationRequest, Prompt};
use claviger::oidc::claims_request::RequestedClaims;
use claviger::oidc::client::{
    AccessTokenFormat, Client, ClientAuthenticationMethod, ConsentPolicy, Pkce, SubjectType, TokenLifetimes,
    TokenSigning,
};
use claviger::oidc::end_user::EndUser;
use claviger::oidc::grant_type::GrantType;
use claviger::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use claviger::oidc::jwk::PublicMembers;
use claviger::oidc::opaque_token::TokenHash;
use claviger::oidc::password::PasswordHash;
use claviger::oidc::response_mode::ResponseMode;
use claviger::oidc::scope::{self, ScopeSet};
use claviger::oidc::standard_claims::{Address, StandardClaims};
use claviger::oidc::thumbprint::Thumbprint;
use claviger::store::records::{
    AuthorizationCodeRecord, ClientRegistration, CodeBinding, GrantRecord, InteractionRecord,
    NewRefreshToken, ObservedRotation, PasswordRecord, ResourceRef, SecretVersion, SessionRecord,
    UserRegistration,
};

/// The redirect URI of [`client`].
pub(crate) const REDIRECT_URI: &str = "https://shop.example.org/callback";
/// A challenge of RFC 7636 appendix B.
pub(crate) const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A hash that stands for a token, cookie or handle of that name.
pub(crate) fn hash(name: &str) -> TokenHash {
    TokenHash::of(name.as_bytes())
}

/// The thumbprint of a key of that name, which nobody has.
pub(crate) fn thumbprint(name: &str) -> Thumbprint {
    Thumbprint::of(&PublicMembers::Ed25519 { x: name.to_owned() })
}

/// The confidential client `team-a.<name>` with uid `uid-<name>`.
pub(crate) fn client(name: &str) -> Client {
    Client {
        uid: ResourceUid::new(format!("uid-{name}")),
        client_id: ClientId::new(format!("team-a.{name}")),
        client_name: name.to_owned(),
        description: None,
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        post_logout_redirect_uris: Vec::new(),
        backchannel_logout_uri: None,
        backchannel_logout_session_required: false,
        allowed_origins: Vec::new(),
        grant_types: BTreeSet::from(GrantType::ALL),
        scopes: scope::SUPPORTED.into_iter().collect(),
        token_endpoint_auth_methods: BTreeSet::from([
            ClientAuthenticationMethod::ClientSecretBasic,
            ClientAuthenticationMethod::ClientSecretPost,
        ]),
        jwks: Vec::new(),
        require_signed_request_object: false,
        service_accounts: Vec::new(),
        pkce: Pkce::Required,
        require_pushed_authorization_requests: false,
        dpop_bound_access_tokens: false,
        consent: ConsentPolicy::Remember,
        default_max_age: None,
        subject_type: SubjectType::Public,
        lifetimes: TokenLifetimes::default(),
        access_token_format: AccessTokenFormat::default(),
        audiences: Vec::new(),
        resource_identifiers: Vec::new(),
        resource_namespaces: Vec::new(),
        signing: TokenSigning::default(),
        profile: None,
        access: Access::default(),
        suspended: false,
    }
}

/// The registration of [`client`], as resource `team-a/<name>` with the Secret `<name>-oidc`.
pub(crate) fn client_registration(name: &str, now: Timestamp) -> ClientRegistration {
    ClientRegistration {
        client: client(name),
        resource: ResourceRef {
            namespace: "team-a".to_owned(),
            name: name.to_owned(),
        },
        secret_name: format!("{name}-oidc"),
        initial_secret_versions: vec![SecretVersion {
            id: "1".to_owned(),
            master_key_id: "m1".to_owned(),
            created_at: now,
            retires_at: None,
            hash: hash(&format!("secret of {name}")),
        }],
        initial_rotation: ObservedRotation::default(),
    }
}

/// The person `<name>` with uid `uid-<name>` and a pinned subject.
pub(crate) fn end_user(name: &str) -> EndUser {
    EndUser {
        uid: ResourceUid::new(format!("uid-{name}")),
        subject: Subject::new(format!("subject-{name}")),
        username: name.to_owned(),
        name: Some(format!("{name} Example")),
        given_name: Some(name.to_owned()),
        family_name: Some("Example".to_owned()),
        email: Some(format!("{name}@example.org")),
        email_verified: true,
        groups: vec!["staff".to_owned()],
        standard_claims: StandardClaims {
            middle_name: Some("Middle".to_owned()),
            birthdate: Some("1815-12-10".to_owned()),
            phone_number: Some("+44 20 7946 0000".to_owned()),
            phone_number_verified: true,
            address: Some(Address {
                locality: Some("London".to_owned()),
                ..Address::default()
            }),
            ..StandardClaims::default()
        },
        disabled: false,
    }
}

/// The registration of [`end_user`], as resource `claviger/<name>`, with a hash that verifies nothing.
pub(crate) fn user_registration(name: &str) -> UserRegistration {
    UserRegistration {
        user: end_user(name),
        resource: ResourceRef {
            namespace: "claviger".to_owned(),
            name: name.to_owned(),
        },
        password: Some(PasswordRecord {
            hash: PasswordHash::from_phc("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA"),
            source: "1".to_owned(),
        }),
        restores_subject: false,
    }
}

/// A password typed now.
pub(crate) fn authentication(now: Timestamp) -> Authentication {
    Authentication {
        at: now,
        methods: vec![AuthenticationMethod::Password],
    }
}

/// A session of [`end_user`], eight hours idle and a day in all.
pub(crate) fn session(handle: &str, user: &str, now: Timestamp) -> SessionRecord {
    SessionRecord {
        hash: hash(handle),
        user_uid: ResourceUid::new(format!("uid-{user}")),
        authentication: authentication(now),
        last_used_at: now,
        idle_seconds: 8 * 3600,
        expires_at: later(now, Duration::from_hours(24)),
    }
}

/// What the app of [`client`] asks for.
pub(crate) fn authorization_request(client: &str) -> AuthorizationRequest {
    AuthorizationRequest {
        client_uid: ResourceUid::new(format!("uid-{client}")),
        client_id: ClientId::new(format!("team-a.{client}")),
        redirect_uri: REDIRECT_URI.to_owned(),
        response_mode: ResponseMode::Query,
        scope: ScopeSet::parse("openid profile"),
        resources: Vec::new(),
        state: Some("state".to_owned()),
        nonce: Some("nonce".to_owned()),
        code_challenge: Some(CODE_CHALLENGE.to_owned()),
        dpop_jkt: None,
        prompt: Prompt::default(),
        max_age: None,
        auth_time_requested: false,
        login_hint: None,
        subject_hint: None,
        claims: RequestedClaims::default(),
        device: None,
        subjects: None,
    }
}

/// An interaction in a session, ten minutes long.
pub(crate) fn interaction(
    handle: &str,
    session: &SessionRecord,
    client: &str,
    now: Timestamp,
) -> InteractionRecord {
    InteractionRecord {
        hash: hash(handle),
        session: session.hash,
        user_uid: session.user_uid.clone(),
        request: authorization_request(client),
        started_at: now,
        authenticated_here: true,
        account_chosen: false,
        expires_at: later(now, Duration::from_mins(10)),
    }
}

/// A grant to [`client`] in a session, 90 days long, that ends with the session.
pub(crate) fn grant(id: &str, session: &SessionRecord, client: &str, now: Timestamp) -> GrantRecord {
    let user = session.user_uid.as_str().trim_start_matches("uid-");
    GrantRecord {
        id: GrantId::new(id),
        client_uid: ResourceUid::new(format!("uid-{client}")),
        client_id: ClientId::new(format!("team-a.{client}")),
        user_uid: session.user_uid.clone(),
        subject: Subject::new(format!("subject-{user}")),
        pairwise_subject: None,
        scope: ScopeSet::parse("openid profile"),
        resources: Vec::new(),
        session: session.hash,
        offline: false,
        authentication: session.authentication.clone(),
        auth_time_requested: false,
        nonce: Some("nonce".to_owned()),
        claims: RequestedClaims::default(),
        created_at: now,
        expires_at: later(now, Duration::from_hours(90 * 24)),
        revoked_at: None,
    }
}

/// What a code of [`client`] is bound to.
pub(crate) fn code_binding(client: &str) -> CodeBinding {
    CodeBinding {
        client_uid: ResourceUid::new(format!("uid-{client}")),
        redirect_uri: REDIRECT_URI.to_owned(),
        code_challenge: Some(CODE_CHALLENGE.to_owned()),
        dpop_jkt: None,
    }
}

/// A code on a grant, a minute long.
pub(crate) fn authorization_code(
    handle: &str,
    grant: &GrantRecord,
    client: &str,
    now: Timestamp,
) -> AuthorizationCodeRecord {
    AuthorizationCodeRecord {
        hash: hash(handle),
        grant_id: grant.id.clone(),
        binding: code_binding(client),
        expires_at: later(now, Duration::from_mins(1)),
        redeemed_at: None,
    }
}

/// A refresh token that dies when not used for fourteen days.
pub(crate) fn refresh_token(handle: &str, now: Timestamp) -> NewRefreshToken {
    NewRefreshToken {
        hash: hash(handle),
        expires_at: later(now, Duration::from_hours(14 * 24)),
        dpop_jkt: None,
    }
}
