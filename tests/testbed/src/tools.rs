//! Where the servers and programs of the tests are. The scripts in `tests/tools/` install them; each is called here
//! too, so that a plain `cargo test` works, and does nothing when its part is in place.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("/"))
        .to_owned()
}

/// The programs of a control plane.
pub struct KubeBinaries {
    /// etcd
    pub etcd: PathBuf,
    /// kube-apiserver
    pub apiserver: PathBuf,
    /// kube-controller-manager
    pub controller_manager: PathBuf,
}

/// The control plane's programs, built first if they are nowhere.
pub fn kube() -> Result<KubeBinaries> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    once(&INSTALLED, "kube.sh")?;
    Ok(KubeBinaries {
        etcd: kube_binary("etcd", "server"),
        apiserver: kube_binary("kube-apiserver", "kube-apiserver"),
        controller_manager: kube_binary("kube-controller-manager", "kube-controller-manager"),
    })
}

/// Helm 3.
pub fn helm() -> Result<PathBuf> {
    helm_or_kubectl("helm")
}

/// Helm 4.
pub fn helm4() -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<String, String>> = OnceLock::new();
    Ok(folder(&FOLDER, "helm.sh", &["4"])?.join("helm"))
}

/// The folder with the definitions of the custom resources of other projects that the chart can make.
pub fn foreign_definitions() -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<String, String>> = OnceLock::new();
    folder(&FOLDER, "crds.sh", &[])
}

/// kubectl.
pub fn kubectl() -> Result<PathBuf> {
    helm_or_kubectl("kubectl")
}

/// A Chromium.
pub fn chromium() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    folder(&FOUND, "chromium.sh", &[])
}

/// promtool, which checks and tests rules of Prometheus.
pub fn promtool() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    folder(&FOUND, "promtool.sh", &[])
}

/// bwrap, which runs a program in namespaces of its own, with a root file system of its own.
pub fn bubblewrap() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    folder(&FOUND, "bubblewrap.sh", &[])
}

/// Installs the Node packages that drive Chromium, and gives the folder whose `node_modules` holds them.
pub fn browser_packages() -> Result<PathBuf> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    once(&INSTALLED, "node.sh")?;
    Ok(root().join("tests/browser"))
}

/// Installs what the app of a page of the book needs, and gives the folder.
pub fn packages(name: &str) -> Result<PathBuf> {
    script("packages.sh", &[name]).map(PathBuf::from)
}

/// For a test that cannot run here: says so and lets it pass, except with `CI=true`, where nothing may be missing.
pub fn skip(test: &str, reason: anyhow::Error) -> Result<()> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Err(reason.context(format!("{test} may not be skipped with CI=true")));
    }
    eprintln!("skipped {test}: {reason:#}");
    Ok(())
}

fn kube_binary(conventional: &str, built: &str) -> PathBuf {
    std::env::var_os("KUBEBUILDER_ASSETS")
        .map(|assets| PathBuf::from(assets).join(conventional))
        .filter(|path| path.is_file())
        .unwrap_or_else(|| root().join(".cache/kubetools").join(built))
}

/// The script prints a folder, or nothing where the PATH has both.
fn helm_or_kubectl(name: &str) -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<String, String>> = OnceLock::new();
    Ok(folder(&FOLDER, "helm.sh", &["3"])?.join(name))
}

/// The path that a script prints.
fn folder(found: &OnceLock<Result<String, String>>, name: &str, arguments: &[&str]) -> Result<PathBuf> {
    found
        .get_or_init(|| script(name, arguments).map_err(|error| format!("{error:#}")))
        .clone()
        .map(PathBuf::from)
        .map_err(anyhow::Error::msg)
}

fn once(installed: &OnceLock<Result<(), String>>, name: &str) -> Result<()> {
    installed
        .get_or_init(|| script(name, &[]).map(drop).map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

/// Runs one of the scripts, lets it speak on standard error, and gives what it printed.
fn script(name: &str, arguments: &[&str]) -> Result<String> {
    let path = root().join("tests/tools").join(name);
    let output = Command::new(&path)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("failed to run {}", path.display()))?;
    anyhow::ensure!(
        output.status.success(),
        "tests/tools/{name} failed, its lines above say why"
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
