//! The clients that tests ask as, and the people who sign in.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::{Installation, Kind, Resources, ports};

use crate::signing::Key;

/// Where all clients are.
const NAMESPACE: &str = "relying-parties";
/// Where every client but the one of Chromium is answered; nobody listens there.
pub(crate) const CALLBACK: &str = "https://rp.example.org/callback";
/// Another that is registered, with a query.
pub(crate) const CALLBACK_WITH_QUERY: &str = "https://rp.example.org/callback?tenant=a%20b";
/// Where people are sent after signing out.
pub(crate) const SIGNED_OUT: &str = "https://rp.example.org/signed-out";
/// The same for the other client.
pub(crate) const SIGNED_OUT_OF_OTHER: &str = "https://other.example.org/signed-out";
/// An origin whose scripts may ask userinfo.
pub(crate) const ORIGIN: &str = "https://rp.example.org";
/// How many clients hear of sign-outs.
const TOLD: usize = 12;
const EVERY_SCOPE: [&str; 7] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "groups",
    "offline_access",
];

/// A client as its app knows it.
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// A client that hears of sign-outs.
pub(crate) struct Told {
    pub(crate) app: App,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// All of them. Those without a word here differ in the name only.
pub(crate) struct Apps {
    /// What the profile Basic runs with: a secret, PKCE optional, every scope.
    pub(crate) basic: App,
    pub(crate) other: App,
    /// Nobody ever allows this one anything.
    pub(crate) stranger: App,
    /// Registered for `client_secret_post` alone.
    pub(crate) posting: App,
    /// Its ID tokens are signed by ES256.
    pub(crate) elliptic: App,
    /// Its ID tokens live for a second.
    pub(crate) brief: App,
    /// Has a `default_max_age`.
    pub(crate) aged: App,
    /// At each of the ports of Chromium's tests.
    pub(crate) web: App,
    /// Each for one test, since what they are posted would be anybody's.
    pub(crate) told: Vec<Told>,
}

/// Somebody who signs in.
pub(crate) struct Person {
    pub(crate) username: &'static str,
    pub(crate) password: String,
}

/// Everybody. Ada has every standard claim, Grace none that is optional.
pub(crate) struct People {
    pub(crate) ada: Person,
    pub(crate) grace: Person,
}

/// The redirect URI of an app at a port of this machine, for Chromium.
pub(crate) fn web_callback(port: u16) -> String {
    format!("http://localhost:{port}/callback")
}

/// Where that app wants people after signing out.
pub(crate) fn web_signed_out(port: u16) -> String {
    format!("http://localhost:{port}/signed-out")
}

fn spec(changes: &Value) -> Value {
    let mut spec = json!({
        "redirectUris": [CALLBACK, CALLBACK_WITH_QUERY],
        "postLogoutRedirectUris": [SIGNED_OUT],
        "scopes": EVERY_SCOPE,
        "pkce": "Optional",
    });
    if let (Some(spec), Some(changes)) = (spec.as_object_mut(), changes.as_object()) {
        spec.extend(changes.clone());
    }
    spec
}

impl Apps {
    /// Registers all of them. `key` signs request objects of the first.
    pub(crate) async fn register(installation: &Installation, key: &Key, ports: &[u16]) -> Result<Self> {
        let specs = [
            (
                "basic",
                json!({ "allowedOrigins": [ORIGIN], "jwks": { "keys": [key.public()] } }),
            ),
            (
                "other",
                json!({ "postLogoutRedirectUris": [SIGNED_OUT_OF_OTHER] }),
            ),
            ("stranger", json!({})),
            (
                "posting",
                json!({ "tokenEndpointAuthMethods": ["client_secret_post"] }),
            ),
            (
                "elliptic",
                json!({ "tokens": { "idTokenSignedResponseAlg": "ES256" } }),
            ),
            ("brief", json!({ "tokens": { "idTokenLifetime": "1s" } })),
            ("aged", json!({ "defaultMaxAge": "3h" })),
            (
                "web",
                json!({
                    "redirectUris": ports.iter().copied().map(web_callback).collect::<Vec<_>>(),
                    "postLogoutRedirectUris": ports.iter().copied().map(web_signed_out).collect::<Vec<_>>(),
                }),
            ),
        ];
        let resources = installation.resources()?;
        for (name, changes) in specs {
            let spec = spec(&changes);
            resources.create(Kind::OidcClient, NAMESPACE, name, spec).await?;
        }
        Ok(Self {
            basic: app(&resources, "basic").await?,
            other: app(&resources, "other").await?,
            stranger: app(&resources, "stranger").await?,
            posting: app(&resources, "posting").await?,
            elliptic: app(&resources, "elliptic").await?,
            brief: app(&resources, "brief").await?,
            aged: app(&resources, "aged").await?,
            web: app(&resources, "web").await?,
            told: told(&resources).await?,
        })
    }

    /// Makes the namespace.
    pub(crate) async fn prepare(kubectl: &testbed::kubectl::Kubectl) -> Result<()> {
        kubectl.run(&["create", "namespace", NAMESPACE]).await?;
        Ok(())
    }
}

/// Clients that hear of sign-outs, one for each test of that.
async fn told(resources: &Resources) -> Result<Vec<Told>> {
    let mut addresses = Vec::new();
    for number in 0..TOLD {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?));
        let changes = json!({
            "backchannelLogoutUri": format!("https://{address}/backchannel-logout?tenant=a"),
            "backchannelLogoutSessionRequired": true,
        });
        let name = format!("told-{number}");
        resources
            .create(Kind::OidcClient, NAMESPACE, &name, spec(&changes))
            .await?;
        addresses.push((name, address));
    }
    let mut told = Vec::new();
    for (name, address) in addresses {
        let app = app(resources, &name).await?;
        told.push(Told { app, address });
    }
    Ok(told)
}

async fn app(resources: &Resources, name: &str) -> Result<App> {
    resources
        .wait_until_ready(Kind::OidcClient, NAMESPACE, name)
        .await?;
    let mut secret = resources.secret(NAMESPACE, &format!("{name}-oidc")).await?;
    let mut entry = |key: &str| {
        let value = secret.remove(key);
        value.with_context(|| format!("the Secret of {name} has no {key}"))
    };
    Ok(App {
        client_id: entry("OIDC_CLIENT_ID")?,
        client_secret: entry("OIDC_CLIENT_SECRET")?,
    })
}

impl People {
    /// Registers both.
    pub(crate) async fn register(installation: &Installation) -> Result<Self> {
        let ada = json!({
            "displayName": "Ada Lovelace",
            "givenName": "Ada",
            "familyName": "Lovelace",
            "middleName": "Augusta",
            "nickname": "Enchantress",
            "profile": "https://people.example.org/ada",
            "picture": "https://people.example.org/ada.png",
            "website": "https://ada.example.org/",
            "gender": "female",
            "birthdate": "1815-12-10",
            "zoneinfo": "Europe/London",
            "locale": "en-GB",
            "email": "ada@example.org",
            "emailVerified": true,
            "address": {
                "formatted": "12 St James's Square\nLondon",
                "streetAddress": "12 St James's Square",
                "locality": "London",
                "region": "Greater London",
                "postalCode": "SW1Y 4JH",
                "country": "United Kingdom",
            },
            "phoneNumber": "+44 20 7946 0000",
            "phoneNumberVerified": true,
            "groups": ["mathematicians"],
            "password": { "generate": true },
        });
        let grace = json!({ "password": { "generate": true } });
        let resources = installation.resources()?;
        let namespace = &installation.release.namespace;
        for (name, spec) in [("ada", ada), ("grace", grace)] {
            resources.create(Kind::OidcUser, namespace, name, spec).await?;
        }
        Ok(Self {
            ada: person(installation, "ada").await?,
            grace: person(installation, "grace").await?,
        })
    }
}

async fn person(installation: &Installation, username: &'static str) -> Result<Person> {
    installation
        .resources()?
        .wait_until_ready(Kind::OidcUser, &installation.release.namespace, username)
        .await?;
    Ok(Person {
        username,
        password: installation.password(username).await?,
    })
}
