//! The whole provider behind its router, with the memory store, a clock that stands still and seeded randomness. Nothing
//! else is different from the product.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger::clock::{Clock, Timestamp, later};
use claviger::http::rate_limit::RateLimits;
use claviger::http::{Settings, router};
use claviger::keyring::Keyring;
use claviger::keyring::live::LiveKeyring;
use claviger::oidc::identifier::{GrantId, ResourceUid};
use claviger::oidc::issuer::Issuer;
use claviger::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use claviger::oidc::password::{Password, PasswordHasher};
use claviger::oidc::scope::ScopeSet;
use claviger::provider::Provider;
use claviger::store::memory::MemoryStore;
use claviger::store::records::{
    AuthorizationCodeRecord, ClientRegistration, CodeBinding, PasswordRecord, UserRegistration,
};
use claviger::store::{IssueCode, RegisterClient, RegisterUser, SignIn, Store};
use claviger::telemetry::metrics::Metrics;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use url::form_urlencoded;

use crate::clock::TestClock;
use crate::faulty_store::FaultyStore;
use crate::fixtures;
use crate::hasher::CountingHasher;
use crate::log::listen_everywhere;
use crate::random::SeededRandom;

/// The issuer of [`TestApp::new`].
pub(crate) const ISSUER: &str = "https://id.example.org";
/// The verifier that belongs to [`fixtures::CODE_CHALLENGE`].
pub(crate) const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// RSA keys take long to make, so all tests of a process share one keyring.
static KEYRING: LazyLock<Arc<Keyring>> = LazyLock::new(|| {
    let now = TestClock::new().now();
    Arc::new(Keyring::generate(now, &SeededRandom::new(1)).unwrap())
});

/// The clock stands still, so nobody's allowance would ever come back; what limits do has tests of its own.
fn unlimited() -> Settings {
    Settings {
        rate_limits: RateLimits::OFF,
        ..Settings::default()
    }
}

/// The app.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) random: Arc<SeededRandom>,
    pub(crate) hasher: Arc<CountingHasher>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) live: LiveKeyring,
    pub(crate) metrics: Metrics,
}

impl TestApp {
    /// With the issuer [`ISSUER`]; every client and user is registered, and there is none yet.
    pub(crate) async fn new() -> Self {
        Self::with_issuer(ISSUER).await
    }

    /// As [`TestApp::new`], with another issuer.
    pub(crate) async fn with_issuer(issuer: &str) -> Self {
        let app = Self::unprovisioned(issuer);
        app.store.mark_provisioned().await.unwrap();
        app
    }

    /// Before the first complete list of clients and users.
    pub(crate) fn unprovisioned(issuer: &str) -> Self {
        let clock = Arc::new(TestClock::new());
        let store = FaultyStore::new(MemoryStore::new(clock.clone()));
        Self::over(issuer, clock, store)
    }

    /// With what `store` holds already.
    pub(crate) fn over(issuer: &str, clock: Arc<TestClock>, store: FaultyStore) -> Self {
        listen_everywhere();
        let random = Arc::new(SeededRandom::new(7));
        let store = Arc::new(store);
        let hasher = Arc::new(CountingHasher::default());
        let keyring = KEYRING.clone();
        let live = LiveKeyring::new(keyring.clone(), clock.now());
        let metrics = Metrics::default();
        let provider = Provider::new(
            Issuer::parse(issuer).unwrap(),
            store.clone(),
            live.clone(),
            hasher.clone(),
            clock.clone(),
            random.clone(),
        );
        Self {
            router: router(provider, Arc::new(metrics.clone()), unlimited()),
            metrics,
            store,
            clock,
            random,
            hasher,
            keyring,
            live,
        }
    }

    /// The same parts, with another keyring in use: what a restart on the same store makes.
    pub(crate) fn restarted_with(self, keyring: Keyring) -> Self {
        let live = LiveKeyring::new(keyring, self.clock.now());
        let provider = Provider::new(
            Issuer::parse(ISSUER).unwrap(),
            self.store.clone(),
            live.clone(),
            self.hasher.clone(),
            self.clock.clone(),
            self.random.clone(),
        );
        Self {
            router: router(provider, Arc::new(self.metrics.clone()), unlimited()),
            live,
            ..self
        }
    }

    /// What the router stands on; the issuer is [`ISSUER`].
    pub(crate) fn provider(&self) -> Provider {
        Provider::new(
            Issuer::parse(ISSUER).unwrap(),
            self.store.clone(),
            self.live.clone(),
            self.hasher.clone(),
            self.clock.clone(),
            self.random.clone(),
        )
    }

    /// The same parts behind another router; the issuer is [`ISSUER`].
    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        Self {
            router: router(self.provider(), Arc::new(self.metrics.clone()), settings),
            ..self
        }
    }

    /// With the confidential client `team-a.shop` and the person `ada`.
    pub(crate) async fn with_shop_and_ada() -> Self {
        let app = Self::new().await;
        app.register_client("shop", |_| ()).await;
        app.register_user("ada").await;
        app
    }

    /// The instant at which the clock stands.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Registers (or registers again) the client `team-a.<name>` of [`fixtures::client`], whose secret is [`secret`],
    /// with the changes of `change`.
    pub(crate) async fn register_client(&self, name: &str, change: impl FnOnce(&mut ClientRegistration)) {
        let mut registration = fixtures::client_registration(name, self.now());
        change(&mut registration);
        let registered = self.store.register_client(registration).await.unwrap();
        assert!(matches!(registered, RegisterClient::Registered(_)));
    }

    /// Registers (or registers again) a person of [`fixtures::end_user`] whose password verifies nothing.
    pub(crate) async fn register_user(&self, name: &str) {
        self.register_user_with(name, |_| ()).await;
    }

    /// As [`TestApp::register_user`], with the changes of `change`.
    pub(crate) async fn register_user_with(&self, name: &str, change: impl FnOnce(&mut UserRegistration)) {
        let mut registration = fixtures::user_registration(name);
        change(&mut registration);
        let registered = self.store.register_user(registration).await.unwrap();
        assert!(matches!(registered, RegisterUser::Registered(_)));
    }

    /// As [`TestApp::register_user`], with a password.
    pub(crate) async fn register_user_with_password(&self, name: &str, password: &str) {
        self.register_user_with_password_of(name, password, "test").await;
    }

    /// Registers a person again, with a password from another source than before.
    pub(crate) async fn reset_password(&self, name: &str, password: &str) {
        self.register_user_with_password_of(name, password, "reset").await;
    }

    async fn register_user_with_password_of(&self, name: &str, password: &str, source: &str) {
        let password = Password::new(password).unwrap();
        let hash = self.hasher.hash(&password).await.unwrap();
        self.register_user_with(name, |registration| {
            registration.password = Some(PasswordRecord {
                hash,
                source: source.to_owned(),
            });
        })
        .await;
    }

    /// Issues a code through the store, as the browser's half does after sign-in and consent.
    pub(crate) async fn issue(&self, what: Issue<'_>) -> Issued {
        let now = self.now();
        let handle = self.unique("session");
        let session = fixtures::session(&handle, what.user, now);
        let interaction = fixtures::interaction(&self.unique("interaction"), &session, what.client, now);
        let signed_in = self
            .store
            .sign_in(session.clone(), None, interaction)
            .await
            .unwrap();
        assert_eq!(signed_in, SignIn::SignedIn);

        let client = self.store_client(what.client).await;
        let scope = ScopeSet::parse(what.scope);
        let mut grant = fixtures::grant(&self.unique("grant"), &session, what.client, now);
        grant.client_uid = client.uid.clone();
        grant.offline = scope.contains("offline_access");
        grant.scope = scope;
        grant.resources = what
            .resources
            .iter()
            .map(|resource| (*resource).to_owned())
            .collect();
        grant.nonce = what.nonce.map(ToOwned::to_owned);
        grant.auth_time_requested = what.auth_time_requested;
        grant.expires_at = later(now, client.lifetimes.refresh_token);
        let user = self
            .store
            .user_by_uid(&ResourceUid::new(format!("uid-{}", what.user)))
            .await
            .unwrap()
            .unwrap();
        grant.subject = user.user.subject;
        let code = OpaqueToken::generate(TokenKind::AuthorizationCode, &*self.random);
        let record = AuthorizationCodeRecord {
            hash: code.hash(),
            grant_id: grant.id.clone(),
            binding: CodeBinding {
                client_uid: client.uid,
                redirect_uri: what.redirect_uri.to_owned(),
                code_challenge: what.code_challenge.map(ToOwned::to_owned),
                dpop_jkt: None,
            },
            expires_at: later(now, Duration::from_mins(1)),
            redeemed_at: None,
        };
        let id = grant.id.clone();
        let issued = self
            .store
            .issue_authorization_code(None, grant, record, None)
            .await
            .unwrap();
        assert_eq!(issued, IssueCode::Issued);
        Issued {
            code: code.expose().to_owned(),
            grant: id,
            session: session.hash,
        }
    }

    async fn store_client(&self, name: &str) -> claviger::oidc::client::Client {
        let client_id = fixtures::client(name).client_id;
        self.store.client(&client_id).await.unwrap().unwrap().client
    }

    fn unique(&self, what: &str) -> String {
        let drawn = claviger::random::bytes::<8>(&*self.random);
        format!("{what}-{:016x}", u64::from_be_bytes(drawn))
    }

    /// Sends a request through the router.
    pub(crate) async fn send(&self, request: Request<Body>) -> TestResponse {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        TestResponse {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// `GET` without headers.
    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A token request of a client that authenticates by `client_secret_basic` with its right secret.
    pub(crate) async fn token(&self, client: &str, form: &[(&str, &str)]) -> TestResponse {
        self.send(token_request(Some(&basic(client, &secret(client))), form))
            .await
    }

    /// Redeems a code as its client does.
    pub(crate) async fn redeem(&self, client: &str, code: &str) -> TestResponse {
        self.token(client, &code_form(code)).await
    }

    /// Refreshes as the client of the token does.
    pub(crate) async fn refresh(&self, client: &str, refresh_token: &str) -> TestResponse {
        self.token(
            client,
            &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)],
        )
        .await
    }

    /// Asks what `client`, which authenticates by `client_secret_basic` with its right secret, may ask at `path`.
    pub(crate) async fn ask(&self, path: &str, client: &str, form: &[(&str, &str)]) -> TestResponse {
        self.send(client_request(path, Some(&basic(client, &secret(client))), form))
            .await
    }

    /// Revokes a token as `client`.
    pub(crate) async fn revoke(&self, client: &str, token: &str) -> TestResponse {
        self.ask("/api/revoke", client, &[("token", token)]).await
    }

    /// Introspects a token as `client`: the response's JSON.
    pub(crate) async fn introspect(&self, client: &str, token: &str) -> serde_json::Value {
        let response = self.ask("/api/introspect", client, &[("token", token)]).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text());
        assert_eq!(response.header("cache-control"), Some("no-store"));
        response.json()
    }

    /// Issues a code for `shop` and `ada` and redeems it: the response's JSON.
    pub(crate) async fn tokens(&self, scope: &str) -> serde_json::Value {
        let issued = self
            .issue(Issue {
                scope,
                ..Issue::default()
            })
            .await;
        let response = self.redeem("shop", &issued.code).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text());
        response.json()
    }

    /// Asks userinfo with the token in the header.
    pub(crate) async fn userinfo(&self, access_token: &str) -> TestResponse {
        let request = Request::get("/api/userinfo")
            .header(AUTHORIZATION, format!("Bearer {access_token}"))
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }
}

/// What a person allowed.
pub(crate) struct Issue<'a> {
    pub(crate) client: &'a str,
    pub(crate) user: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) resources: &'a [&'a str],
    pub(crate) redirect_uri: &'a str,
    pub(crate) code_challenge: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) auth_time_requested: bool,
}

impl Default for Issue<'_> {
    fn default() -> Self {
        Self {
            client: "shop",
            user: "ada",
            scope: "openid profile",
            resources: &[],
            redirect_uri: fixtures::REDIRECT_URI,
            code_challenge: Some(fixtures::CODE_CHALLENGE),
            nonce: Some("nonce"),
            auth_time_requested: false,
        }
    }
}

/// A code and what it hangs on.
pub(crate) struct Issued {
    pub(crate) code: String,
    pub(crate) grant: GrantId,
    pub(crate) session: TokenHash,
}

/// A response, read to its end.
pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl TestResponse {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that comes once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next();
        assert!(values.next().is_none(), "{name} is repeated");
        first.map(|value| value.to_str().unwrap())
    }

    /// Asserts a JSON error with this status.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: StatusCode, error: &str) {
        assert_eq!(
            (self.status, self.json()["error"].as_str()),
            (status, Some(error)),
            "{}",
            self.text()
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("pragma"), Some("no-cache"));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

/// The secret of the client that [`TestApp::register_client`] makes.
pub(crate) fn secret(client: &str) -> String {
    format!("secret of {client}")
}

/// The header of `client_secret_basic`.
pub(crate) fn basic(client: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let client_id = fixtures::client(client).client_id;
    let joined = format!("{}:{}", encode(client_id.as_str()), encode(secret));
    format!("Basic {}", STANDARD.encode(joined))
}

/// The form that redeems a code of [`Issue::default`].
pub(crate) fn code_form(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", fixtures::REDIRECT_URI),
        ("code_verifier", CODE_VERIFIER),
    ]
}

/// A form body.
pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

/// A token request.
pub(crate) fn token_request(authorization: Option<&str>, form: &[(&str, &str)]) -> Request<Body> {
    client_request("/api/token/v2", authorization, form)
}

/// A request that a client makes in its own name.
pub(crate) fn client_request(
    path: &str,
    authorization: Option<&str>,
    form: &[(&str, &str)],
) -> Request<Body> {
    let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Body::from(encode(form))).unwrap()
}
