//! The probes of a container, asked as a kubelet asks them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use reqwest::Client;
use tokio::task::JoinHandle;

/// The probes of a running container.
pub(crate) struct Probes {
    verdict: Arc<Mutex<Verdict>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What they have found.
#[derive(Default)]
struct Verdict {
    /// The startup probe has succeeded, or there is none.
    started: bool,
    /// The last word of the readiness probe.
    ready: bool,
    /// The liveness probe has succeeded once.
    alive: bool,
    /// Why the kubelet would have started the container again.
    dead: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Startup,
    Liveness,
    Readiness,
}

/// A probe with its defaults filled in by the API server.
struct Question {
    kind: Kind,
    url: String,
    http: Client,
    delay: Duration,
    period: Duration,
    successes: i32,
    failures: i32,
}

impl Probes {
    /// Begins to ask. A container without a probe for it is ready and alive.
    pub(crate) fn start(container: &Container) -> Result<Self> {
        let probes = [
            (Kind::Startup, &container.startup_probe),
            (Kind::Liveness, &container.liveness_probe),
            (Kind::Readiness, &container.readiness_probe),
        ];
        let none = |kind: Kind| {
            probes
                .iter()
                .any(|(which, probe)| *which == kind && probe.is_none())
        };
        let verdict = Arc::new(Mutex::new(Verdict {
            started: none(Kind::Startup),
            ready: none(Kind::Readiness),
            alive: none(Kind::Liveness),
            dead: None,
        }));
        let mut tasks = Vec::new();
        for (kind, probe) in probes {
            if let Some(probe) = probe {
                let question = question(container, kind, probe).with_context(|| format!("{kind:?}"))?;
                tasks.push(tokio::spawn(ask(question, Arc::clone(&verdict))));
            }
        }
        Ok(Self { verdict, tasks })
    }

    /// Whether the pod would be sent requests, and has been found alive.
    pub(crate) fn is_ready(&self) -> bool {
        let verdict = lock(&self.verdict);
        verdict.started && verdict.ready && verdict.alive
    }

    /// Fails when the kubelet would have started the container again.
    pub(crate) fn check_alive(&self) -> Result<()> {
        let dead = lock(&self.verdict).dead.clone();
        dead.map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
    }

    /// Asks no more.
    pub(crate) fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.stop();
    }
}

fn question(container: &Container, kind: Kind, probe: &Probe) -> Result<Question> {
    let get = probe.http_get.as_ref().context("only httpGet is played")?;
    let number = |value: Option<i32>, what: &str| value.with_context(|| format!("{what} has no default"));
    let seconds = |value: i32| u64::try_from(value).map(Duration::from_secs);
    let timeout = seconds(number(probe.timeout_seconds, "timeoutSeconds")?)?;
    let http = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("kube-probe/1.34")
        .timeout(timeout)
        .build()?;
    Ok(Question {
        kind,
        url: url(container, get)?,
        http,
        delay: seconds(probe.initial_delay_seconds.unwrap_or_default())?,
        period: seconds(number(probe.period_seconds, "periodSeconds")?)?,
        successes: number(probe.success_threshold, "successThreshold")?,
        failures: number(probe.failure_threshold, "failureThreshold")?,
    })
}

fn url(container: &Container, get: &HTTPGetAction) -> Result<String> {
    anyhow::ensure!(
        get.scheme.as_deref() == Some("HTTP") && get.http_headers.is_none() && get.host.is_none(),
        "other schemes, headers and hosts are not played: {get:?}"
    );
    let port = match &get.port {
        IntOrString::Int(port) => *port,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let port = ports.find(|port| port.name.as_ref() == Some(name));
            port.with_context(|| format!("the container has no port {name}"))?
                .container_port
        }
    };
    Ok(format!(
        "http://127.0.0.1:{port}{}",
        get.path.as_deref().unwrap_or("/")
    ))
}

async fn ask(question: Question, verdict: Arc<Mutex<Verdict>>) {
    while question.kind != Kind::Startup && !lock(&verdict).started {
        tokio::time::sleep(testbed::poll::PAUSE).await;
    }
    tokio::time::sleep(question.delay).await;
    let (mut successes, mut failures) = (0, 0);
    loop {
        match once(&question).await {
            Ok(()) => (successes, failures) = (successes + 1, 0),
            Err(error) => {
                (successes, failures) = (0, failures + 1);
                if failures >= question.failures {
                    lock(&verdict).failed(question.kind, &format!("{error:#}"));
                }
            }
        }
        if successes >= question.successes {
            lock(&verdict).succeeded(question.kind);
            if question.kind == Kind::Startup {
                return;
            }
        }
        tokio::time::sleep(question.period).await;
    }
}

/// Any status from 200 to 399 is a success.
async fn once(question: &Question) -> Result<()> {
    let answer = question.http.get(&question.url).send().await?;
    let status = answer.status();
    let good = status.is_success() || status.is_redirection();
    anyhow::ensure!(
        good,
        "{} answers {status}: {}",
        question.url,
        answer.text().await?
    );
    Ok(())
}

impl Verdict {
    fn succeeded(&mut self, kind: Kind) {
        match kind {
            Kind::Startup => self.started = true,
            Kind::Liveness => self.alive = true,
            Kind::Readiness => self.ready = true,
        }
    }

    fn failed(&mut self, kind: Kind, why: &str) {
        match kind {
            Kind::Readiness => self.ready = false,
            Kind::Startup | Kind::Liveness => {
                self.dead = Some(format!(
                    "the kubelet would start the container again: {kind:?}: {why}"
                ));
            }
        }
    }
}

fn lock(verdict: &Mutex<Verdict>) -> MutexGuard<'_, Verdict> {
    verdict.lock().unwrap_or_else(PoisonError::into_inner)
}
