//! Sign-in and the public port under attack: guessing at once, slow clients, thousands of idle connections. Addresses of
//! 127.0.0.0/8 stand for networks. Each test prints a line with what it saw; latencies are printed, not judged.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::browser::{Browser, form};
use testbed::relying_party::RelyingParty;
use testbed::{scale, visit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::harness::{PASSWORD, REDIRECT_URI, SCOPE, Served, StoreKind, USERNAME, World};
use crate::wire::{self, Reply};

const PATIENCE: Duration = Duration::from_mins(2);
const JWKS: &str = "/.well-known/jwks.json";
/// As many failures of one account from one network, and of one network, cost nothing.
const FREE: u64 = 10;
const FREE_OF_NETWORK: u64 = 50;

fn address(third: u8, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, third, last))
}

async fn connect(from: IpAddr, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(from, 0))?;
    let stream = socket
        .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The status of a request that is sent from an address over a connection of its own; 0 if the server hangs up.
async fn exchange(mut stream: TcpStream, request: &[u8]) -> u16 {
    let mut answer = Vec::new();
    let talk = async {
        stream.write_all(request).await?;
        stream.read_to_end(&mut answer).await
    };
    let talked = tokio::time::timeout(PATIENCE, talk).await;
    talked.expect("an answer, or an end").ok();
    let head = String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned();
    head.parse().unwrap_or(0)
}

/// All at one moment, from these addresses in turn: how often which status came back.
async fn storm(port: u16, from: &[IpAddr], requests: Vec<Vec<u8>>) -> BTreeMap<u16, u64> {
    let together = Arc::new(tokio::sync::Barrier::new(requests.len()));
    let mut answers = JoinSet::new();
    for (request, from) in requests.into_iter().zip(from.iter().copied().cycle()) {
        let together = Arc::clone(&together);
        answers.spawn(async move {
            let stream = connect(from, port).await.unwrap();
            together.wait().await;
            exchange(stream, &request).await
        });
    }
    let mut counts = BTreeMap::new();
    for status in answers.join_all().await {
        *counts.entry(status).or_insert(0) += 1;
    }
    counts
}

/// A sign-in form as somebody was shown it, to be filled in many times.
struct SignIn {
    port: u16,
    cookie: String,
    origin: String,
    fields: Vec<(String, String)>,
}

impl SignIn {
    async fn open(served: &Served, app: &RelyingParty) -> Self {
        let port = served.port();
        let request = app.authorization_request(SCOPE, &[]).unwrap();
        let target = format!("/authorize?{}", request.url.query().unwrap());
        let page: Reply = wire::send(port, &wire::get(port, &target, &[])).await;
        assert_eq!(page.status, 200, "{page:?}");
        let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
        let form = form::forms(&page.body).remove(0);
        let value = |name: &str| (name.to_owned(), form.field(name).unwrap().value.clone());
        Self {
            port,
            cookie,
            origin: format!("http://127.0.0.1:{port}"),
            fields: vec![value("csrf_token"), value("interaction")],
        }
    }

    fn filled_in(&self, username: &str, password: &str) -> Vec<u8> {
        let mut fields: Vec<(&str, &str)> = vec![("username", username), ("password", password)];
        fields.extend(
            self.fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let headers = [("Cookie", self.cookie.as_str()), ("Origin", self.origin.as_str())];
        wire::post(self.port, "/login", &headers, &fields)
    }
}

/// What `/metrics` says.
pub(crate) struct Figures(String);

impl Figures {
    pub(crate) async fn of(served: &Served) -> Self {
        let url = served.claviger.admin_url("/metrics");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self(http.get(url).send().await.unwrap().text().await.unwrap())
    }

    fn read(&self, name: &str) -> Option<f64> {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }

    fn value(&self, name: &str) -> f64 {
        self.read(name).unwrap_or(0.0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are small whole numbers"
    )]
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.read(name).map(|value| value as u64)
    }

    fn events(&self, name: &str) -> u64 {
        self.count(&format!("claviger_audit_events_total{{event=\"{name}\"}}"))
            .unwrap_or(0)
    }

    fn memory(&self) -> f64 {
        self.value("process_resident_memory_bytes")
    }
}

/// Asks for the JWK Set again and again, from an address of its own.
struct Probe {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Duration>>,
}

impl Probe {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let request = wire::get(port, JWKS, &[]);
        let task = tokio::spawn(async move {
            let mut latencies = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                let stream = connect(address(9, 9), port).await.unwrap();
                assert_eq!(
                    exchange(stream, &request).await,
                    200,
                    "the JWK Set is always there"
                );
                latencies.push(start.elapsed());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            latencies
        });
        Self { stop, task }
    }

    async fn end(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let mut latencies = self.task.await.unwrap();
        latencies.sort_unstable();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        format!("JWKS p50 {:?} p99 {:?} of {}", at(50), at(99), latencies.len())
    }
}

/// The person signs in from another network, with a browser that was never there before.
async fn assert_victim_signs_in(app: &RelyingParty, last: u8) {
    let browser = Browser::at(address(8, last)).unwrap();
    visit::sign_in(app, &browser, USERNAME, PASSWORD).await.unwrap();
}

/// With the limits that claviger has by itself.
async fn served_with_rate_limits() -> Served {
    World::shared()
        .serve_with(StoreKind::Sled, |options| options.environment.clear())
        .await
}

/// How many waits of 1, 2, 4, … seconds one after another are over by then.
fn waits_over(elapsed: Duration) -> u64 {
    u64::from((elapsed.as_secs() + 1).ilog2())
}

/// How many of a thousand were looked at: each was, or waits, or was told to come again, and the audit log has every one
/// of the first two. It may have more, of whom the store, asked once more for the page, kept too long: they got a 503.
fn accounted_for(answers: &BTreeMap<u16, u64>, before: &Figures, after: &Figures) -> u64 {
    let count = |status| answers.get(&status).copied().unwrap_or(0);
    let events = |name| after.events(name) - before.events(name);
    let (failed, throttled) = (events("sign_in_failed"), events("sign_in_throttled"));
    assert_eq!(count(403) + count(429) + count(503), 1000, "{answers:?}");
    assert!(
        failed >= count(403) && throttled >= count(429),
        "{failed}, {throttled}: {answers:?}"
    );
    assert!(failed + throttled <= 1000, "{failed}, {throttled}: {answers:?}");
    failed
}

/// A thousand wrong sign-ins at once from two networks, against one account and then against a thousand: as many are looked
/// at as the limits allow and every one is accounted for; the person still signs in from elsewhere and at their own machine;
/// memory grows by less than a tenth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_68_a_thousand_wrong_sign_ins_at_once() {
    // Without rate limits, so that the throttle alone is seen.
    let served = World::shared().serve(StoreKind::Sled).await;
    let app = served.app("shop", json!({})).await;
    let port = served.port();
    let form = SignIn::open(&served, &app).await;
    let known = Browser::at(address(0, 2)).unwrap();
    visit::sign_in(&app, &known, USERNAME, PASSWORD).await.unwrap();
    let attackers = [address(0, 2), address(0, 3)];
    // As much as later, so that what is measured is growth and not the first touch of buffers, arenas and caches.
    for round in 0..2 {
        let warm = |number| form.filled_in(&format!("warm-{round}-{number}"), "wrong");
        let from = [address(7, 2 * round), address(7, 2 * round + 1)];
        storm(port, &from, (0..1000).map(warm).collect()).await;
    }

    let before = Figures::of(&served).await;
    let probe = Probe::start(port);
    let start = Instant::now();
    let one = storm(port, &attackers, vec![form.filled_in(USERNAME, "wrong"); 1000]).await;
    let after_one = Figures::of(&served).await;
    let looked_at = accounted_for(&one, &before, &after_one);
    // On a slow machine a wait of 1, 2, 4, … seconds is over before the last one arrives.
    let waits = waits_over(start.elapsed());
    assert!(
        (2 * FREE..=2 * (FREE + waits)).contains(&looked_at),
        "{one:?}, {waits}"
    );
    assert_victim_signs_in(&app, 1).await;
    let again = app.authorization_request(SCOPE, &[("prompt", "login")]).unwrap();
    let callback = known
        .sign_in(&again.url, REDIRECT_URI, USERNAME, PASSWORD)
        .await
        .unwrap();
    app.code(&again, &callback).unwrap();

    let start = Instant::now();
    let strangers = [address(0, 4), address(0, 5)];
    let many = |number| form.filled_in(&format!("user-{number}"), "wrong");
    let many = storm(port, &strangers, (0..1000).map(many).collect()).await;
    let after_many = Figures::of(&served).await;
    let jwks = probe.end().await;
    let looked_at = accounted_for(&many, &after_one, &after_many);
    // One is forgiven in half a minute.
    let more = start.elapsed().as_secs() / 30 + 1 + waits_over(start.elapsed());
    assert!(looked_at <= 2 * (FREE_OF_NETWORK + more), "{many:?}, {more}");
    assert_victim_signs_in(&app, 2).await;

    let (base, end) = (before.memory(), Figures::of(&served).await.memory());
    let verdict = format!(
        "1,000 wrong sign-ins at once: one account {one:?}, many accounts {many:?}; the person signs in; memory {:.1} MiB \
         {:+.1} %; {jwks}",
        base / 1024.0 / 1024.0,
        (end / base - 1.0) * 100.0
    );
    println!("{verdict}");
    assert!(end < base * 1.1, "{verdict}");
}

/// As many connections as asked for, or as this process may open.
fn connections() -> usize {
    let wanted = scale::count(3_000, 10_000);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let open_files: usize = line
        .split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap_or(usize::MAX);
    wanted.min(open_files.saturating_sub(300))
}

/// Thousands of idle connections, from one network and from many, with slow heads and slow bodies among them: whoever has a
/// request is answered, memory stays bounded, and the claviger serves on as before when they are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_80_slow_clients_keep_nobody_out() {
    const SLOW: [&[u8]; 4] = [
        b"",
        b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: a\r\nx-slow:",
        b"POST /login HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\na=",
        b"POST /api/token/v2 HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
          transfer-encoding: chunked\r\n\r\n2\r\na=\r\n",
    ];
    let served = served_with_rate_limits().await;
    let app = served.app("shop", json!({})).await;
    let port = served.port();
    assert_victim_signs_in(&app, 1).await;
    let before = Figures::of(&served).await;
    let count = connections();
    let probe = Probe::start(port);
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        // A third from one network, the others from 250.
        let last = u8::try_from(number % 250).unwrap() + 1;
        let from = if number % 3 == 0 {
            address(5, 1)
        } else {
            address(6, last)
        };
        let mut stream = connect(from, port).await.unwrap();
        // One that has made way already does not take it.
        stream.write_all(SLOW[number / 3 % SLOW.len()]).await.ok();
        held.push(stream);
        if number % 500 == 499 {
            assert_victim_signs_in(&app, 2).await;
        }
    }
    assert_victim_signs_in(&app, 3).await;
    let during = Figures::of(&served).await;
    let files = during.value("process_open_fds");
    assert!(files < 2048.0 + 200.0, "{files} files are open");
    drop(held);
    let jwks = probe.end().await;
    assert_victim_signs_in(&app, 4).await;
    println!(
        "{count} slow and idle connections: the person signs in meanwhile; {files} files open, memory {:+.1} MiB; {jwks}",
        (during.memory() - before.memory()) / 1024.0 / 1024.0
    );
}
