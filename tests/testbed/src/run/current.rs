//! The cluster of the current kubectl context: found, asked about, prepared, and left as it was.
//!
//! Everything that a run makes there is in two new namespaces, or is one release of Helm whose name is new; ending it
//! removes these and nothing else. claviger itself runs on this machine, with a token of the ServiceAccount that the chart
//! made, since its issuer is on this machine's loopback.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::folder::Folder;
use testbed::helm::{Helm, Release};
use testbed::kubectl::Kubectl;
use testbed::{Cluster, command, random, tools};
use tokio::process::Command;

use crate::run::setup::Places;
use crate::steps::Steps;

const DEFINITIONS: [&str; 2] = ["oidcclients.claviger.dev", "oidcusers.claviger.dev"];
/// On what a run has made, with its number.
const LABEL: &str = "claviger.dev/make-run";

/// A cluster that somebody has said yes to.
pub(super) struct Current {
    /// Nothing but the current context, everything inline.
    kubeconfig: Value,
    kubectl: Kubectl,
    helm: Helm,
    places: Places,
    number: String,
    _folder: Folder,
}

impl Current {
    /// Finds the current context, refuses a cluster where claviger is or was, and asks.
    pub(super) async fn find(yes: Option<&str>) -> Result<Self> {
        let kubeconfig = current_kubeconfig().await?;
        let context = text(&kubeconfig["current-context"]);
        let folder = Folder::new("current")?;
        let path = folder.write("kubeconfig", kubeconfig.to_string())?;
        let number = number()?;
        let current = Self {
            kubectl: Kubectl::new(&path)?,
            helm: Helm::new(&path)?,
            places: Places {
                release: format!("claviger-run-{number}"),
                home: format!("claviger-run-{number}"),
                team: format!("claviger-run-{number}-team"),
            },
            kubeconfig,
            number,
            _folder: folder,
        };
        current.refuse_where_claviger_is(&context).await?;
        current.ask(&context, yes).await?;
        Ok(current)
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    async fn refuse_where_claviger_is(&self, context: &str) -> Result<()> {
        let names = ["get", "customresourcedefinitions", "--output=name"];
        let definitions = self
            .kubectl
            .run(&names)
            .await
            .with_context(|| format!("unable to look at the cluster of the context {context}"))?;
        let found = DEFINITIONS.into_iter().find(|name| definitions.contains(name));
        if let Some(name) = found {
            bail!(
                "the cluster of the context {context} has the custom resource definition {name} already: claviger is or \
                 was installed there, and this run would end by deleting it; nothing was changed. Choose another context \
                 (kubectl config use-context), or remove it if nobody needs it: \
                 kubectl --context {context} delete customresourcedefinition {}",
                DEFINITIONS.join(" ")
            );
        }
        let releases = self.helm.list().await?;
        let chart = |release: &&Value| text(&release["chart"]).starts_with("claviger-");
        if let Some(release) = releases.iter().find(chart) {
            let (name, namespace) = (text(&release["name"]), text(&release["namespace"]));
            bail!(
                "the cluster of the context {context} has the release {name} of claviger in the namespace {namespace} \
                 already; nothing was changed. Choose another context, or remove it if nobody needs it: \
                 helm --kube-context {context} uninstall {name} --namespace {namespace}"
            );
        }
        Ok(())
    }

    async fn ask(&self, context: &str, yes: Option<&str>) -> Result<()> {
        if let Some(yes) = yes {
            ensure!(
                yes == context,
                "the current context is {context}, but YES={yes} says another one; nothing was changed"
            );
            return Ok(());
        }
        let server = text(&self.kubeconfig["clusters"][0]["cluster"]["server"]);
        println!(
            "The current kubectl context is {context}, the cluster at {server}.
This makes there, and removes at its end:
  the namespaces {home} and {team}
  the Helm release {release}: two custom resource definitions, cluster roles, two admission policies",
            home = self.places.home,
            team = self.places.team,
            release = self.places.release,
        );
        ensure!(
            std::io::stdin().is_terminal(),
            "nobody is there to ask; nothing was changed. To go on without being asked: make run CLUSTER=current \
             YES={context}"
        );
        print!("Type the name of the context to go on: ");
        std::io::stdout().flush()?;
        let line = answer().await?;
        ensure!(
            line.trim() == context,
            "that is not {context}; nothing was changed"
        );
        Ok(())
    }

    /// Makes the namespaces.
    pub(super) async fn prepare(&self, steps: &Steps, logs: &Path) -> Result<Cluster> {
        let cluster = Cluster::of(&self.kubeconfig, logs.to_owned())?;
        let made = async {
            for namespace in [&self.places.home, &self.places.team] {
                let manifest = json!({
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": { "name": namespace, "labels": { LABEL: self.number } },
                });
                // Not `apply`: a namespace that is there is not ours.
                self.kubectl.create(&manifest.to_string()).await?;
            }
            Ok(())
        };
        let done = |()| {
            format!(
                "Made the namespaces {} and {} on {}",
                self.places.home,
                self.places.team,
                cluster.url()
            )
        };
        steps.step("Making two namespaces", |&()| done(()), made).await?;
        Ok(cluster)
    }

    /// Removes what this run has made, whatever became of it, and tells of what it could not remove.
    pub(super) async fn remove(&self, steps: &Steps) -> Result<()> {
        let Places { release, home, team } = &self.places;
        steps
            .step(
                "Removing the release and the namespaces",
                |()| format!("Removed the release {release} and the namespaces {home} and {team}"),
                self.remove_all(),
            )
            .await
            .with_context(|| {
                format!(
                    "not everything could be removed; what is left goes with: helm uninstall {release} --namespace {home}; \
                     kubectl delete namespace --selector {LABEL}={}",
                    self.number
                )
            })
    }

    async fn remove_all(&self) -> Result<()> {
        let Places { release, home, .. } = &self.places;
        let ours = |listed: &&Value| text(&listed["name"]) == *release && text(&listed["namespace"]) == *home;
        let mut kept = false;
        if self.helm.list().await?.iter().any(|listed| ours(&listed)) {
            let installed = Release {
                name: release.clone(),
                namespace: home.clone(),
                values: json!({ "crds": { "keep": true } }),
            };
            kept = self.others_use_the_definitions().await?;
            if kept {
                self.helm.upgrade_reusing(&installed).await?;
            }
            self.helm.uninstall(&installed).await?;
        }
        let selector = format!("{LABEL}={}", self.number);
        self.kubectl
            .run(&["delete", "namespace", "--selector", &selector, "--timeout=120s"])
            .await?;
        ensure!(
            !kept,
            "somebody else has made OidcClients or OidcUsers meanwhile, so the custom resource definitions stay"
        );
        Ok(())
    }

    /// The definitions are of this run, but deleting them would delete what others have made meanwhile.
    async fn others_use_the_definitions(&self) -> Result<bool> {
        let definitions = self
            .kubectl
            .run(&["get", "customresourcedefinitions", "--output=name"])
            .await?;
        let mut others = false;
        for name in DEFINITIONS.into_iter().filter(|name| definitions.contains(name)) {
            let namespaces = "jsonpath={range .items[*]}{.metadata.namespace}{\"\\n\"}{end}";
            let found = self
                .kubectl
                .run(&["get", name, "--all-namespaces", "--output", namespaces])
                .await?;
            others |= found
                .lines()
                .any(|namespace| ![&self.places.home, &self.places.team].contains(&&namespace.to_owned()));
        }
        Ok(others)
    }
}

/// A line of the terminal's. Read on a thread of its own, so that Ctrl-C ends the waiting; the thread goes with the process.
async fn answer() -> Result<String> {
    let (sender, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        // Nobody listens any more where the waiting has ended.
        let _ = sender.send(read.map(|_| line));
    });
    Ok(line.await.context("failed to read from the terminal")??)
}

/// As kubectl sees it, by `KUBECONFIG` or in the home folder.
async fn current_kubeconfig() -> Result<Value> {
    let mut kubectl = Command::new(tools::kubectl()?);
    kubectl.args([
        "config",
        "view",
        "--minify",
        "--flatten",
        "--raw",
        "--output=json",
    ]);
    let shown = command::run(kubectl, "").await.context(
        "kubectl has no current context; choose one with `kubectl config use-context`, or run without CLUSTER=current",
    )?;
    serde_json::from_str(&shown).context("kubectl shows its configuration in an unknown form")
}

/// Six characters that fit into names.
fn number() -> Result<String> {
    let token = random::token()?.to_lowercase();
    Ok(token
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(6)
        .collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
