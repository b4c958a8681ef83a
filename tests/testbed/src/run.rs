//! `make run`: from nothing to somebody signed in, each step one line; then a sample app to click through.

mod app;
mod current;
mod setup;

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use testbed::Browser;
use testbed::folder::Folder;
use testbed::process;
use testbed::sample_app::SampleApp;

use crate::run::current::Current;
use crate::run::setup::{Setup, Started};
use crate::signals::Signals;
use crate::steps::Steps;

/// What a person asks for.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// End after the checks instead of staying up
    #[arg(long)]
    once: bool,

    /// The cluster: one of its own, or that of the current kubectl context
    #[arg(long, value_enum, default_value_t = Which::Own)]
    cluster: Which,

    /// The name of the current context, to go on there without being asked
    #[arg(long, value_name = "CONTEXT")]
    yes: Option<String>,
}

/// Whose cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Started and ended by this run
    Own,
    /// Of the current context
    Current,
}

/// Fails if any step does. What was started or made is gone when this returns.
pub(crate) async fn run(arguments: &RunArguments) -> Result<()> {
    let mut signals = Signals::listen()?;
    let current = match arguments.cluster {
        Which::Own => None,
        Which::Current => {
            let found = signals.or_end(Current::find(arguments.yes.as_deref())).await;
            Some(found.context("ended by a signal; nothing was changed")??)
        }
    };
    let steps = Steps::begin();
    let outcome = run_on(&mut signals, &steps, current.as_ref(), arguments.once).await;
    let removed = match &current {
        None => Ok(()),
        Some(current) => current.remove(&steps).await,
    };
    outcome.and(removed)
}

async fn run_on(signals: &mut Signals, steps: &Steps, current: Option<&Current>, once: bool) -> Result<()> {
    let own = std::env::current_exe().context("failed to find out where this program is")?;
    let logs = Folder::new_in(own.parent().context("this program is nowhere")?, "run-logs")?;
    let checked = signals.or_end(Box::pin(check(steps, logs.path(), current))).await;
    let (setup, app) = match checked {
        None => bail!("ended by a signal before every check was made; nothing is left behind"),
        Some(Ok(running)) => running,
        Some(Err(error)) => {
            return Err(error.context(format!(
                "`make run` failed; all logs are in {}",
                logs.keep().display()
            )));
        }
    };
    println!("\nEvery check held, after {:.0} s.", steps.seconds());
    if !once {
        invite(&setup, &app);
        signals.end().await;
        println!("\nEnding everything …");
    }
    Ok(())
}

async fn check(steps: &Steps, logs: &Path, current: Option<&Current>) -> Result<(Setup, SampleApp)> {
    let started = Started::start(steps, logs, current).await?;
    let checked = async {
        let setup = started.register(steps).await?;
        let browser = Browser::new()?;
        let relying_party = app::sign_somebody_in(steps, &setup, &browser).await?;
        let app = SampleApp::start(setup.app_port, relying_party, app::SCOPE).await?;
        app::visit(steps, &app, &browser).await?;
        Ok((setup, app))
    };
    checked.await.inspect_err(|_| show_what_claviger_said(logs))
}

fn show_what_claviger_said(logs: &Path) {
    let lines = process::tail(&logs.join("claviger.log"), 15);
    if !lines.is_empty() {
        eprintln!("\nclaviger's last lines:\n{lines}\n");
    }
}

fn invite(setup: &Setup, app: &SampleApp) {
    let cluster = &setup.installation.cluster;
    println!(
        "
Sign in yourself:
  open       {app_url}
  username   {username}
  password   {password}
  (in the check above Ada has allowed the shop already, so it does not ask again; sign out on its page to begin anew)

Look around, in another terminal here:
  export KUBECONFIG={kubeconfig} KUBECACHEDIR={cache}{path}
  kubectl get oidcclients,oidcusers --all-namespaces
  kubectl -n {team} describe oidcclient shop
  kubectl -n {team} get secret shop-oidc -o yaml
  kubectl -n {home} get secret ada-password -o jsonpath='{{.data.password}}' | base64 -d; echo

What to try next:
  register an app of your own   change both `name:` lines in examples/quickstart.yaml, kubectl apply -f examples/quickstart.yaml
  refuse an app at once         kubectl -n {team} patch oidcclient shop --type=merge -p '{{\"spec\":{{\"suspend\":true}}}}'
  end a person's sessions       kubectl -n {home} patch oidcuser ada --type=merge -p '{{\"spec\":{{\"disabled\":true}}}}'
  see what apps discover        curl {issuer}/.well-known/openid-configuration
  read claviger's log           tail -f {log}

Ctrl-C ends everything and leaves nothing behind.",
        app_url = app.url(),
        team = setup.places.team,
        home = setup.places.home,
        username = setup.username,
        password = setup.password,
        kubeconfig = cluster.kubeconfig().display(),
        // Else kubectl would leave a cache of this cluster in the person's home folder.
        cache = cluster.logs().join("kubectl-cache").display(),
        path = setup.kubectl.folder().map(|folder| format!(" PATH={}:$PATH", folder.display())).unwrap_or_default(),
        issuer = setup.installation.claviger.issuer(),
        log = cluster.logs().join("claviger.log").display(),
    );
}
