//! The stack that all scenarios share, and how one is played on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::folder::Folder;
use testbed::kubectl::Kubectl;
use testbed::process::Process;
use testbed::relying_party::{Registration, RelyingParty};
use testbed::sample_app::SampleApp;
use testbed::{Installation, InstallationOptions, tools};
use tokio::runtime::Runtime;

/// More than any scenario takes on a busy machine; one that hangs ends here.
const PATIENCE: Duration = Duration::from_mins(5);
const NAMESPACE: &str = "team-a";
const SAMPLE: &str = "sample";
const PUBLIC: &str = "native";
const HOSTILE: &str = "hostile";

/// Chromium, and the folder of the scripts with what drives it.
struct Tools {
    chromium: PathBuf,
    scripts: PathBuf,
}

struct Stack {
    installation: Installation,
    kubectl: Kubectl,
    sample_app: SampleApp,
    runtime: Runtime,
}

/// A person who has an account and has never signed in.
struct Person {
    username: String,
    password: String,
    name: String,
    email: String,
}

/// Plays a scenario, shows what it says, and fails if it fails. Without a Chromium it says so and passes, except where
/// `CI=true`.
#[expect(
    clippy::print_stdout,
    reason = "what a scenario says is the output of the test"
)]
pub(super) fn play(scenario: &str) -> Result<()> {
    let tools = match tools() {
        Ok(tools) => tools,
        Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => return Err(error),
        Err(error) => {
            println!("skipped the scenario {scenario} in a browser: {error:#}");
            return Ok(());
        }
    };
    let stack = shared()?;
    let person = stack
        .runtime
        .block_on(stack.person(&scenario.replace('_', "-")))?;
    let folder = Folder::new("browser")?;
    let log = folder.join("scenario.log");
    let mut node = Process::spawn("node", command(tools, stack, &person, scenario, &folder), &log)?;
    let ended = node.wait_for_exit(PATIENCE);
    print!("{}", std::fs::read_to_string(&log).unwrap_or_default());
    if !ended.as_ref().is_ok_and(std::process::ExitStatus::success) {
        println!("claviger has logged:\n{}", stack.installation.claviger.log());
    }
    anyhow::ensure!(
        ended?.success(),
        "the scenario {scenario} has failed, its lines above say why"
    );
    Ok(())
}

fn command(tools: &Tools, stack: &Stack, person: &Person, scenario: &str, folder: &Folder) -> Command {
    let mut node = Command::new("node");
    node.arg(format!("{scenario}.mjs"))
        .current_dir(&tools.scripts)
        // Profiles and whatever else a browser writes.
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .env("BROWSER_TEST_CHROMIUM", &tools.chromium)
        .env(
            "BROWSER_TEST_PICTURES",
            tools::root().join("tests/output/browser"),
        )
        .env("BROWSER_TEST_ISSUER", stack.installation.claviger.issuer())
        .env("BROWSER_TEST_SAMPLE_APP", stack.sample_app.url())
        .env("BROWSER_TEST_SAMPLE_CLIENT_ID", client_id(SAMPLE))
        .env("BROWSER_TEST_PUBLIC_CLIENT_ID", client_id(PUBLIC))
        .env("BROWSER_TEST_HOSTILE_CLIENT_ID", client_id(HOSTILE))
        .env("BROWSER_TEST_HOSTILE_NAME", hostile_name())
        .env("BROWSER_TEST_USERNAME", &person.username)
        .env("BROWSER_TEST_PASSWORD", &person.password)
        .env("BROWSER_TEST_NAME", &person.name)
        .env("BROWSER_TEST_EMAIL", &person.email);
    node
}

fn tools() -> Result<&'static Tools> {
    static FOUND: OnceLock<Result<Tools, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let found = tools::chromium().and_then(|chromium| {
                Ok(Tools {
                    chromium,
                    scripts: tools::browser_packages()?,
                })
            });
            found.map_err(|error| format!("{error:#}"))
        })
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

fn shared() -> Result<&'static Stack> {
    static SHARED: OnceLock<Result<Stack, String>> = OnceLock::new();
    SHARED
        .get_or_init(|| Stack::start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

impl Stack {
    fn start() -> Result<Self> {
        let runtime = Runtime::new().context("failed to start a runtime")?;
        let program = Path::new(env!("CARGO_BIN_EXE_claviger"));
        let (installation, kubectl, sample_app) = runtime.block_on(async {
            let installation = Installation::start(InstallationOptions::new(program)).await?;
            let kubectl = Kubectl::new(&installation.cluster.kubeconfig())?;
            let port = SampleApp::choose_port()?;
            kubectl.apply(&clients(port)).await?;
            for name in [SAMPLE, PUBLIC, HOSTILE] {
                wait_until_ready(&kubectl, NAMESPACE, &format!("oidcclient/{name}")).await?;
            }
            let secret = secret(&kubectl, NAMESPACE, &format!("{SAMPLE}-oidc")).await?;
            let registration = Registration {
                issuer: secret("OIDC_ISSUER")?,
                client_id: secret("OIDC_CLIENT_ID")?,
                client_secret: Some(secret("OIDC_CLIENT_SECRET")?),
                redirect_uri: secret("OIDC_REDIRECT_URI")?,
            };
            let relying_party = RelyingParty::discover(registration).await?;
            let sample_app =
                SampleApp::start(port, relying_party, "openid profile email groups offline_access").await?;
            anyhow::Ok((installation, kubectl, sample_app))
        })?;
        Ok(Self {
            installation,
            kubectl,
            sample_app,
            runtime,
        })
    }

    /// A new person with an account, whose password claviger makes.
    async fn person(&self, name: &str) -> Result<Person> {
        let namespace = &self.installation.release.namespace;
        let (email, display_name) = (format!("{name}@example.org"), "Ada Lovelace".to_owned());
        let user = json!({
            "apiVersion": "claviger.dev/v1alpha1",
            "kind": "OidcUser",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "displayName": display_name,
                "givenName": "Ada",
                "familyName": "Lovelace",
                "email": email,
                "emailVerified": true,
                "groups": ["staff", "mathematicians"],
                "password": { "generate": true },
            },
        });
        self.kubectl.apply(&user.to_string()).await?;
        wait_until_ready(&self.kubectl, namespace, &format!("oidcuser/{name}")).await?;
        let secret = secret(&self.kubectl, namespace, &format!("{name}-password")).await?;
        Ok(Person {
            username: secret("username")?,
            password: secret("password")?,
            name: display_name,
            email,
        })
    }
}

fn client_id(name: &str) -> String {
    format!("{NAMESPACE}.{name}")
}

/// 128 characters, as many as a name may have; no place to break a line but what the browser finds.
fn hostile_name() -> String {
    let markup = "<img src=x onerror=alert(1)></title><b>\"'&amp;{{7*7}}";
    format!("{markup}{}", "W".repeat(128 - markup.len()))
}

/// A confidential client for the sample app, a public one on any loopback port, and one of hostile names.
fn clients(sample_app_port: u16) -> String {
    let client = |name: &str, spec: Value| {
        json!({
            "apiVersion": "claviger.dev/v1alpha1",
            "kind": "OidcClient",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": spec,
        })
    };
    let public = |display_name: &str, description: &str| {
        json!({
            "displayName": display_name,
            "description": description,
            "redirectUris": ["http://127.0.0.1/callback"],
            "postLogoutRedirectUris": [format!("http://127.0.0.1:{sample_app_port}/")],
            "tokenEndpointAuthMethods": ["none"],
            "grantTypes": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        })
    };
    let sample = json!({
        "displayName": "Sample app",
        "description": "Shows what claviger tells an app about you.",
        "redirectUris": [SampleApp::redirect_uri(sample_app_port)],
    });
    let items = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
        client(SAMPLE, sample),
        client(PUBLIC, public("Native app", "An app on this computer.")),
        client(
            HOSTILE,
            public(&hostile_name(), &format!("<script>{}", "Long".repeat(126))),
        ),
    ];
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

async fn wait_until_ready(kubectl: &Kubectl, namespace: &str, resource: &str) -> Result<()> {
    let arguments = [
        "wait",
        "--namespace",
        namespace,
        "--for=condition=Ready",
        "--timeout=60s",
        resource,
    ];
    kubectl.run(&arguments).await?;
    Ok(())
}

/// Reads a Secret as an app's administrator would, and gives its values by key.
async fn secret(
    kubectl: &Kubectl,
    namespace: &str,
    name: &str,
) -> Result<impl Fn(&str) -> Result<String> + use<>> {
    let text = kubectl
        .run(&[
            "get",
            "secret",
            "--namespace",
            namespace,
            "--output",
            "json",
            name,
        ])
        .await?;
    let secret: Value = serde_json::from_str(&text).context("kubectl did not print JSON")?;
    let name = name.to_owned();
    Ok(move |key: &str| {
        let encoded = secret["data"][key].as_str();
        let encoded = encoded.with_context(|| format!("the Secret {name} has no key {key}"))?;
        let value = STANDARD
            .decode(encoded)
            .with_context(|| format!("{key} of the Secret {name} is no base64"))?;
        String::from_utf8(value).with_context(|| format!("{key} of the Secret {name} is no text"))
    })
}
