//! An app of a page, as a process of this machine.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::Browser;
use testbed::folder::Folder;
use testbed::process::Process;
use testbed::{poll, ports};
use url::Url;

use crate::container;
use crate::page::{Page, Places};
use crate::stage::Stage;

/// What a page calls the program that makes its app's key and prints what goes into `jwks`.
const MAKE_KEY: &str = "make-key.mjs";
/// A Java app on a busy machine.
const START: Duration = Duration::from_mins(2);

/// A running app. Dropping it ends the process.
pub(crate) struct App {
    process: Process,
    url: Url,
    _folder: Folder,
}

impl App {
    /// Registers the app of a page and starts it with what its Secret says, in a folder with the page's files and what is
    /// installed in `packages`; waits for nothing. The page's `OidcClient` has the page's name. The API of the page is at `api`.
    pub(crate) async fn start(stage: &Stage, name: &str, packages: &Path, api: Option<&Url>) -> Result<Self> {
        let page = Page::read(name)?;
        let folder = Folder::new(name)?;
        // A server that changes its account reads the page's files as somebody else.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        let certificate = folder.join("certificate");
        let own_tls = page.files().any(|(_, text)| text.contains("/etc/tls"));
        let ports = [ports::free()?, ports::free()?, ports::free()?];
        let scheme = if own_tls { "https" } else { "http" };
        let places = Places {
            issuer: &stage.issuer().parse()?,
            app: format!("{scheme}://127.0.0.1:{}", ports[0]).parse()?,
            api,
            ports,
            authority: &stage.authority_file,
            certificate: &certificate,
            key: folder.path(),
            apache: &packages.join("root/usr/lib/apache2"),
        };
        let pair = [
            ("tls.crt", stage.certificate.certificate.as_str()),
            ("tls.key", stage.certificate.key.as_str()),
        ];
        mount(&certificate, &pair)?;
        for (file, text) in page.files() {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().context("a file without a folder")?)?;
            std::fs::write(path, places.fill(text))?;
        }
        install(packages, folder.path())?;
        let mut manifest = places.fill(page.block("client.yaml")?);
        if folder.join(MAKE_KEY).exists() {
            manifest = with_own_key(&manifest, folder.path())?;
        }
        let entries = stage.register(name, &manifest).await?;
        if folder.join("Cargo.toml").exists() {
            build(folder.path())?;
        }
        let container = container::read(&places.fill(page.block("pod.yaml")?))?;
        let words = container.command.as_deref().unwrap_or_default();
        let mut command = command(words, packages)?;
        trust(&mut command, words, stage, folder.path())?;
        command
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .envs(container::environment(
                &container,
                (&format!("{name}-oidc"), &entries),
            )?);
        Ok(Self {
            process: Process::spawn(name, command, &folder.join("app.log"))?,
            url: places.app,
            _folder: folder,
        })
    }

    /// A URL of the app; the path begins with a slash.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        self.url.join(path).context("not a path")
    }

    /// The last lines that the app has printed.
    pub(crate) fn tail(&self) -> String {
        self.process.tail(40)
    }

    /// Waits until a URL answers with a page or a redirect: what stands before an app may listen earlier.
    pub(crate) async fn wait_until_it_answers(&mut self, browser: &Browser, url: &Url) -> Result<()> {
        let look = async || {
            let page = browser.get(url).await?;
            let status = page.status;
            anyhow::ensure!(
                status.is_success() || status.is_redirection(),
                "{url} answers {status}"
            );
            Ok(Some(()))
        };
        poll::until_unless("the app to answer", START, || self.process.check_alive(), look).await
    }
}

/// A volume: a file for each entry, for the owner only.
fn mount(folder: &Path, entries: &[(&str, &str)]) -> Result<()> {
    std::fs::create_dir(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for (key, value) in entries {
        std::fs::write(folder.join(key), value)?;
    }
    Ok(())
}

/// Puts what is installed beside the page's files, as in an image.
fn install(packages: &Path, folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(packages)? {
        let entry = entry?;
        let place = folder.join(entry.file_name());
        if !place.exists() {
            symlink(entry.path(), place)?;
        }
    }
    Ok(())
}

/// Makes the key of the app in its folder, as the page says, and puts what is public of it into the manifest.
fn with_own_key(manifest: &str, folder: &Path) -> Result<String> {
    let made = Command::new("node")
        .arg(MAKE_KEY)
        .current_dir(folder)
        .output()
        .context("failed to run node")?;
    anyhow::ensure!(
        made.status.success(),
        "{MAKE_KEY} fails: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut manifest: Value = serde_yaml::from_str(manifest).context("`client.yaml` is no YAML")?;
    manifest["spec"]["jwks"] =
        serde_json::from_slice(&made.stdout).with_context(|| format!("{MAKE_KEY} prints no JWK Set"))?;
    Ok(manifest.to_string())
}

/// Builds a crate, as the stage of an image would, with the crates that are there: its program is then in `bin/`. What was
/// built before is in the `target/` of what is installed.
fn build(folder: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    // Of what cargo tells the tests about themselves some build scripts think that it is about them, and run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" {
            cargo.env_remove(&name);
        }
    }
    let built = cargo
        .args(["install", "--path=.", "--root=.", "--target-dir=target"])
        .args(["--locked", "--offline", "--quiet", "--debug", "--no-track"])
        .current_dir(folder)
        // A debug build of so many crates is large.
        .envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")])
        .output()
        .context("failed to run cargo")?;
    anyhow::ensure!(
        built.status.success(),
        "the app of the page does not build: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(())
}

/// Nothing of the environment of whoever runs the tests but the way to the programs.
fn command(words: &[String], packages: &Path) -> Result<Command> {
    let (program, arguments) = words
        .split_first()
        .context("the container of `pod.yaml` has no command")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let packages = packages.display();
    let mut command = Command::new("env");
    command
        .arg(program)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            format!("{packages}/bin:{packages}/node_modules/.bin:{packages}/root/usr/sbin:{path}"),
        )
        .env(
            "LD_LIBRARY_PATH",
            format!("{packages}/root/usr/lib/{}-linux-gnu", std::env::consts::ARCH),
        );
    Ok(command)
}

/// An authority of one's own, in the ways of the languages; `docs/src/apps.md` lists them.
fn trust(command: &mut Command, words: &[String], stage: &Stage, folder: &Path) -> Result<()> {
    for name in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        command.env(name, &stage.authority_file);
    }
    if words.first().is_none_or(|program| program != "java") {
        return Ok(());
    }
    let store = folder.join("trust.p12");
    let made = Command::new("keytool")
        .args(["-importcert", "-noprompt", "-storepass", "changeit"])
        .args(["-keystore".as_ref(), store.as_os_str()])
        .args(["-file".as_ref(), stage.authority_file.as_os_str()])
        .output()
        .context("failed to run keytool")?;
    anyhow::ensure!(made.status.success(), "keytool made no trust store");
    let options = format!(
        "-Djavax.net.ssl.trustStore={} -Djavax.net.ssl.trustStorePassword=changeit",
        store.display()
    );
    command.env("JAVA_TOOL_OPTIONS", options);
    Ok(())
}
