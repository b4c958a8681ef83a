//! A test in a network of its own: outside it fetches what has to be fetched, and runs itself once more in there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use testbed::certificates::Authority;
use testbed::folder::Folder;
use testbed::process::Process;
use testbed::tools;

use crate::{container, image};

/// Names the folder of what was prepared outside, and so says that we are inside.
const PREPARED: &str = "CLAVIGER_TEST_CONTAINER";
/// Half a minute on an idle machine.
const PATIENCE: Duration = Duration::from_mins(10);

/// Runs a test's scenario where it is alone. The scenario gets the folder of what was prepared: `image.tar`, and `tls.crt`
/// and `tls.key` by an authority that every client in there trusts.
pub(crate) async fn run(test: &str, scenario: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<()> {
    match std::env::var_os(PREPARED) {
        Some(prepared) => scenario(Path::new(&prepared)).await,
        None => outside(test),
    }
}

fn outside(test: &str) -> Result<()> {
    let folder = Folder::new("container-test")?;
    let bubblewrap = match tools::bubblewrap().and_then(|program| usable(&program, &folder)) {
        Ok(program) => program,
        Err(reason) => return tools::skip(test, reason),
    };
    // Inside nothing can be fetched.
    tools::kube()?;
    tools::helm()?;
    tools::helm4()?;
    let prepared = prepared()?;
    let mut command = own_network(&bubblewrap);
    command
        .arg(std::env::current_exe().context("failed to find out where this program is")?)
        .args(["--exact", test, "--nocapture"])
        .env(PREPARED, &prepared)
        .env(container::BUBBLEWRAP, &bubblewrap)
        .env("SSL_CERT_FILE", prepared.join("ca.crt"));
    let mut process = Process::spawn(test, command, &folder.join("log"))?;
    let status = process.wait_for_exit(PATIENCE)?;
    let said = process.tail(80);
    // A name that is none would run no test, and that is a success.
    anyhow::ensure!(
        status.success() && said.contains("test result: ok. 1 passed"),
        "it failed in a network of its own ({status}):\n{said}"
    );
    Ok(())
}

/// bubblewrap with nothing changed but the network, where only loopback is.
fn own_network(bubblewrap: &Path) -> Command {
    let mut command = Command::new(bubblewrap);
    command.args(["--unshare-net", "--dev-bind", "/", "/", "--die-with-parent", "--"]);
    command
}

/// A copy of bubblewrap where the container's user may run it, if it can do here what the tests need.
fn usable(bubblewrap: &Path, folder: &Folder) -> Result<PathBuf> {
    container::let_others_pass(folder.path())?;
    let copy = folder.join("bwrap");
    std::fs::copy(bubblewrap, &copy).context("failed to copy bwrap")?;
    let output = own_network(&copy)
        .args(container::namespaces(&copy, &container::User::default()))
        .args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"])
        .output()
        .context("failed to run bwrap")?;
    anyhow::ensure!(
        output.status.success(),
        "bubblewrap may not make namespaces here: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(copy)
}

/// What takes a while and is the same for all tests of this program.
fn prepared() -> Result<PathBuf> {
    static PREPARED: OnceLock<Result<Folder, String>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| prepare().map_err(|error| format!("{error:#}")));
    match prepared {
        Ok(folder) => Ok(folder.path().to_owned()),
        Err(error) => anyhow::bail!("{error}"),
    }
}

fn prepare() -> Result<Folder> {
    let folder = Folder::new("container-image")?;
    image::write(&folder)?;
    let authority = Authority::new()?;
    let pair = authority.issue(&["127.0.0.1"])?;
    folder.write("ca.crt", authority.pem())?;
    folder.write("tls.crt", pair.certificate)?;
    folder.write("tls.key", pair.key)?;
    Ok(folder)
}
