//! Requests drawn from a real visit and spoilt, at every endpoint: no panic, no 5xx, nothing reflected, nobody led
//! elsewhere, and memory that stays what it was.
//!
//! A round is a visit and what is drawn from it by one seed. Seeds of rounds that once met an answer which no round had met
//! before are kept in `tests/fixtures/fuzz_seeds.txt` and come first; new ones follow until the time is over: a minute, or
//! with `TEST_FULL=1` an hour. A failure names its seed, and `TEST_SEED` has its round alone.

mod draw;
mod request;
mod visit;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use testbed::relying_party::RelyingParty;
use testbed::scale::count;
use testbed::seed::Seed;
use testbed::visit as sample;
use url::Url;

use self::draw::{MARKUP, spoil};
use self::request::Request;
use self::visit::{Material, SIGNED_OUT_URI, collect};
use crate::harness::{PASSWORD, REDIRECT_URI, Served, StoreKind, USERNAME, World};
use crate::wire::{self, Reply};

const VISITOR: &str = "fuzz-visitor";
const VISITORS_PASSWORD: &str = "a password that nobody is to guess";
/// Requests of a round.
const DRAWN: usize = 400;
/// So many at a time.
const AT_ONCE: usize = 8;

/// Where an answer came from and what it was: what a run is compared by with those before.
type Kind = (String, u16, String);

/// A server under fuzz.
struct Target {
    served: Served,
    app: RelyingParty,
    seen: BTreeSet<Kind>,
    requests: usize,
}

impl Target {
    async fn start() -> Self {
        let world = World::shared();
        world.create_user(VISITOR, VISITORS_PASSWORD).await;
        let served = world.serve(StoreKind::Sled).await;
        let spec = json!({
            "grantTypes": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code"
            ],
            "scopes": ["openid", "profile", "email", "groups", "offline_access"],
            "allowedOrigins": ["https://app.example.org"],
            "postLogoutRedirectUris": [SIGNED_OUT_URI],
        });
        let app = served.app("fuzz", spec).await;
        Self {
            served,
            app,
            seen: BTreeSet::new(),
            requests: 0,
        }
    }

    /// Gives how many kinds of answers it met that were not met before.
    async fn round(&mut self, seed: u64) -> usize {
        let port = self.served.port();
        let material = collect(&self.app, port, VISITOR, VISITORS_PASSWORD).await;
        self.covers_discovery(&material).await;
        let mut source = Seed(seed);
        let drawn: Vec<Request> = (0..DRAWN).map(|_| draw(&material, &mut source)).collect();
        let before = self.seen.len();
        for some in drawn.chunks(AT_ONCE) {
            let answers = some.iter().map(async |request| {
                let answer = wire::try_send(port, &request.encode(port)).await;
                (request, answer)
            });
            for (request, answer) in join_all(answers).await {
                let Some(reply) = answer else { continue };
                if let Err(wrong) = check(&reply) {
                    panic!("seed {seed}: {wrong}\n{request}\n{reply:?}");
                }
                self.seen.insert(kind(request, &reply));
            }
        }
        self.requests += DRAWN;
        self.served.claviger.process().check_alive().unwrap();
        self.seen.len() - before
    }

    /// Every endpoint that discovery names is drawn from.
    async fn covers_discovery(&self, material: &Material) {
        let url = self.served.claviger.url("/.well-known/openid-configuration");
        let metadata: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let issuer = self.served.claviger.issuer();
        for (name, value) in metadata.as_object().unwrap() {
            let path = value.as_str().and_then(|value| value.strip_prefix(&issuer));
            let Some(path) = path.filter(|path| !path.is_empty()) else {
                continue;
            };
            let covered = material.requests.iter().any(|request| request.path == path);
            assert!(covered, "nothing is drawn for {name}, {path}");
        }
    }

    async fn memory(&self) -> f64 {
        let url = self.served.claviger.admin_url("/metrics");
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let name = "process_resident_memory_bytes ";
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.parse().unwrap()
    }
}

fn draw(material: &Material, seed: &mut Seed) -> Request {
    let mut request = material.requests[seed.below(material.requests.len())].clone();
    spoil(&mut request, &material.values, seed);
    request
}

/// What may never be answered, whatever was asked.
fn check(reply: &Reply) -> Result<(), String> {
    if reply.status >= 500 {
        return Err("a fault of ours".to_owned());
    }
    if !reply.headers("x-injected").is_empty() {
        return Err("a header came out of a parameter".to_owned());
    }
    if let [location] = reply.headers("location")[..] {
        leads_where_it_may(location)?;
    }
    let media_type = reply.headers("content-type").first().copied().unwrap_or_default();
    if media_type.starts_with("text/html") && reply.body.contains(MARKUP) {
        return Err("the page shows markup as it was sent".to_owned());
    }
    if media_type.starts_with("application/json") && !reply.body.is_empty() {
        serde_json::from_str::<Value>(&reply.body).map_err(|error| format!("no JSON: {error}"))?;
    }
    Ok(())
}

/// A page of ours, or what is registered.
fn leads_where_it_may(location: &str) -> Result<(), String> {
    let ours = location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\");
    let without_query = location.split(['?', '#']).next().unwrap_or_default();
    let is_callback = Url::parse(without_query).is_ok_and(|mut url| {
        // A loopback address may have any port.
        url.host_str() == Some("127.0.0.1") && url.set_port(None).is_ok() && url.as_str() == REDIRECT_URI
    });
    if ours || is_callback || without_query == SIGNED_OUT_URI {
        Ok(())
    } else {
        Err(format!("led to {location}"))
    }
}

#[test]
fn only_what_is_registered_is_led_to() {
    for (location, may) in [
        ("/login", true),
        ("http://127.0.0.1:4711/callback?code=x", true),
        ("https://app.example.org/signed-out?state=x", true),
        ("//evil.example/", false),
        ("/\\evil.example", false),
        ("http://127.0.0.1/callback/x", false),
        ("http://127.0.0.1@evil.example/callback", false),
        ("javascript:alert(1)", false),
    ] {
        assert_eq!(leads_where_it_may(location).is_ok(), may, "{location}");
    }
}

fn kind(request: &Request, reply: &Reply) -> Kind {
    let error = serde_json::from_str::<Value>(&reply.body)
        .ok()
        .and_then(|body| body["error"].as_str().map(str::to_owned))
        .or_else(|| {
            let location = Url::parse(reply.headers("location").first()?).ok()?;
            let mut pairs = location.query_pairs();
            pairs.find_map(|(name, value)| (name == "error").then(|| value.into_owned()))
        });
    let path: String = request.path.chars().take(40).collect();
    (
        format!("{} {path}", request.method),
        reply.status,
        error.unwrap_or_default(),
    )
}

fn kept() -> Vec<u64> {
    include_str!("../fixtures/fuzz_seeds.txt")
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().unwrap())
        .collect()
}

/// Every endpoint stands whatever is sent to it, and serves on as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_80_every_endpoint_stands_whatever_is_sent() {
    let mut target = Target::start().await;
    let end = Instant::now() + Duration::from_secs(count(60, 3_600) as u64);
    let mut fresh = Seed(testbed::scale::seed().unwrap());
    if std::env::var_os("TEST_SEED").is_some() {
        target.round(fresh.0).await;
        return;
    }
    for seed in kept() {
        target.round(seed).await;
    }
    // The first rounds fill buffers, caches and arenas.
    let base = target.memory().await;
    let mut rounds = 0;
    while Instant::now() < end {
        let seed = fresh.draw();
        let new = target.round(seed).await;
        if new > 0 {
            println!("seed {seed}: {new} kinds of answers that no kept seed has met");
        }
        rounds += 1;
    }
    sample::whole(&target.app, USERNAME, PASSWORD).await.unwrap();
    let grown = (target.memory().await / base - 1.0) * 100.0;
    let log = target.served.claviger.log();
    assert!(!log.contains("panicked"), "{log}");
    println!(
        "fuzz: {} requests, {rounds} new rounds, {} kinds of answers, memory {:.1} MiB {grown:+.1} %",
        target.requests,
        target.seen.len(),
        base / 1024.0 / 1024.0
    );
    assert!(rounds > 0, "the kept seeds took all the time");
    assert!(grown < 10.0, "memory grew by {grown:.1} %");
}
