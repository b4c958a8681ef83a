//! A way to the API server that goes wrong as a test asks for it: late and refused answers, watches that are cut or expire,
//! connections that go silent or away.
//!
//! Whoever comes this way speaks plain HTTP on loopback and brings its own token, which is passed on; behind it is the real
//! API server. Every request is noted, with what became of it.

mod answer;
mod plan;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::cluster::Cluster;
use crate::folder::Folder;
use crate::ports;
use answer::{Answer, Lost};
pub use plan::{Asked, Fault, Refusal, Treatment};

/// A request that came this way.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When it came.
    pub at: Instant,
    /// What it was.
    pub asked: Asked,
    /// What was done to it.
    pub fault: Fault,
    /// The status that went back; none where nothing went back.
    pub status: Option<u16>,
}

type Plan = Box<dyn Fn(&Asked) -> Treatment + Send + Sync>;

/// The proxy. Dropping it closes its port.
pub struct FaultProxy {
    road: Arc<Road>,
    server: Mutex<Option<JoinHandle<()>>>,
}

/// What all connections share.
struct Road {
    port: u16,
    upstream: Client,
    plan: Mutex<Plan>,
    exchanges: Mutex<Vec<Exchange>>,
    /// How often each method and path was asked for.
    counts: Mutex<HashMap<(String, String), usize>>,
    connections: AtomicU64,
    /// Connections with a lower number are silent.
    silent: watch::Sender<u64>,
}

impl FaultProxy {
    /// Starts it, in the runtime of the caller, without any fault.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let proxy = Self {
            road: Arc::new(Road {
                port: ports::free()?,
                upstream: upstream(&cluster.kubeconfig()).await?,
                plan: Mutex::new(Box::new(|_| Treatment::default())),
                exchanges: Mutex::default(),
                counts: Mutex::default(),
                connections: AtomicU64::new(1),
                silent: watch::Sender::new(0),
            }),
            server: Mutex::default(),
        };
        proxy.open().await?;
        Ok(proxy)
    }

    /// A kubeconfig like this one, by this way.
    pub fn kubeconfig(&self, original: &Path, folder: &Folder) -> Result<PathBuf> {
        let text = std::fs::read_to_string(original).context("failed to read a kubeconfig")?;
        let mut kubeconfig: Value = serde_json::from_str(&text).context("a kubeconfig is not of ours")?;
        kubeconfig["clusters"][0]["cluster"] =
            serde_json::json!({ "server": format!("http://127.0.0.1:{}", self.road.port) });
        folder.write("by-proxy.kubeconfig", kubeconfig.to_string())
    }

    /// From now on, this decides what happens to each request.
    pub fn plan(&self, plan: impl Fn(&Asked) -> Treatment + Send + Sync + 'static) {
        *lock(&self.road.plan) = Box::new(plan);
    }

    /// From now on, nothing happens to any request.
    pub fn heal(&self) {
        self.plan(|_| Treatment::default());
    }

    /// All connections that are there go silent: nothing comes back on them, and nobody says that they ended.
    pub fn silence(&self) {
        self.road
            .silent
            .send_replace(self.road.connections.load(Ordering::Relaxed));
    }

    /// Cuts all connections and takes no new ones.
    pub fn close(&self) {
        if let Some(server) = lock(&self.server).take() {
            server.abort();
        }
    }

    /// Takes connections, after [`FaultProxy::close`].
    pub async fn open(&self) -> Result<()> {
        self.close();
        let address = (Ipv4Addr::LOCALHOST, self.road.port);
        let what = "the port of the fault proxy to be free";
        let listener = crate::poll::until(what, std::time::Duration::from_secs(30), async || {
            Ok(Some(TcpListener::bind(address).await?))
        })
        .await?;
        *lock(&self.server) = Some(tokio::spawn(accept(listener, self.road.clone())));
        Ok(())
    }

    /// What came this way so far, in the order of arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.road.exchanges).clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.close();
    }
}

/// A client of the API server without a name: whoever asks brings its own.
async fn upstream(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("failed to read a kubeconfig of our own")?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.auth_info = AuthInfo::default();
    config.default_retry = false;
    Client::try_from(config).context("failed to make a client of the API server")
}

/// Ends with all its connections when it is aborted.
async fn accept(listener: TcpListener, road: Arc<Road>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, road.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, road: Arc<Road>) {
    let connection = Connection {
        number: road.connections.fetch_add(1, Ordering::Relaxed),
        road,
    };
    let service = service_fn(|request| connection.answer(request));
    // A client that went away is no failure, and neither is a connection that a plan cut.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct Connection {
    number: u64,
    road: Arc<Road>,
}

impl Connection {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Lost> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
        let (index, asked, treatment) = self.road.note(&head, &body);
        let answered = async {
            tokio::time::sleep(treatment.delay).await;
            answer::answer(&self.road.upstream, (head, body), &treatment).await
        };
        let response = tokio::select! {
            () = silence(self.road.silent.subscribe(), self.number) => std::future::pending().await,
            response = answered => response,
        };
        let response = response?;
        if let Some(exchange) = lock(&self.road.exchanges).get_mut(index) {
            exchange.status = Some(response.status().as_u16());
        }
        let silent = self.road.silent.subscribe();
        Ok(answer::stream(
            response,
            &asked,
            treatment.fault,
            (silent, self.number),
        ))
    }
}

/// Ends when the connection of this number goes silent.
async fn silence(mut silent: watch::Receiver<u64>, number: u64) {
    // The sender lives as long as the road.
    let _ = silent.wait_for(|limit| number < *limit).await;
}

impl Road {
    fn note(&self, head: &Parts, body: &[u8]) -> (usize, Asked, Treatment) {
        let (method, mut path) = (head.method.to_string(), head.uri.path().to_owned());
        if let ("POST", Ok(object)) = (method.as_str(), serde_json::from_slice::<Value>(body))
            && let Some(name) = object["metadata"]["name"].as_str()
        {
            path = format!("{path}/{name}");
        }
        let nth = {
            let mut counts = lock(&self.counts);
            let count = counts.entry((method.clone(), path.clone())).or_default();
            *count += 1;
            *count
        };
        let asked = Asked {
            method,
            path,
            query: head.uri.query().unwrap_or_default().to_owned(),
            nth,
        };
        let treatment = (lock(&self.plan))(&asked);
        let mut exchanges = lock(&self.exchanges);
        exchanges.push(Exchange {
            at: Instant::now(),
            asked: asked.clone(),
            fault: treatment.fault,
            status: None,
        });
        (exchanges.len() - 1, asked, treatment)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
