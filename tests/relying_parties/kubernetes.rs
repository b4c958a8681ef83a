//! The API server as a relying party, by its `AuthenticationConfiguration`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::folder::Folder;
use testbed::kubectl::Kubectl;
use testbed::relying_party::{Registration, RelyingParty, Tokens};
use testbed::{Browser, Kind, poll};

use crate::page::Page;
use crate::stage::{NAMESPACE, Stage};

const PAGE: &str = "kube-apiserver";
/// On loopback any port will do, so nothing has to listen.
const REDIRECT_URI: &str = "http://127.0.0.1/";
/// The API server asks for the keys again every ten seconds until it has them.
const PATIENCE: Duration = Duration::from_mins(1);

/// The page's `AuthenticationConfiguration`, for an issuer with an authority of its own.
pub(crate) fn authentication(issuer: &str, authority: &str) -> Result<String> {
    let page = Page::read(PAGE)?;
    let text = page
        .block("authentication.yaml")?
        .replace("https://id.example.org", issuer);
    let mut configuration: Value = serde_yaml::from_str(&text).context("authentication.yaml is no YAML")?;
    configuration["jwt"][0]["issuer"]["certificateAuthority"] = authority.into();
    Ok(configuration.to_string())
}

/// kubectl as somebody who has this token and nothing else.
struct Caller {
    kubectl: Kubectl,
    _folder: Folder,
}

impl Caller {
    fn new(stage: &Stage, token: &str) -> Result<Self> {
        let folder = Folder::new("kubectl")?;
        let admin = std::fs::read_to_string(stage.installation.cluster.kubeconfig())?;
        let mut kubeconfig: Value = serde_json::from_str(&admin)?;
        kubeconfig["users"][0]["user"] = json!({ "token": token });
        let path = folder.write("kubeconfig", kubeconfig.to_string())?;
        Ok(Self {
            kubectl: Kubectl::new(&path)?,
            _folder: folder,
        })
    }

    async fn get(&self, resource: &str) -> Result<String> {
        self.kubectl
            .run(&["get", resource, "--namespace", NAMESPACE, "--output=name"])
            .await
    }

    /// The API server does not know who this is.
    async fn is_nobody(&self) -> Result<()> {
        let answer = self.get("configmaps").await;
        let told = answer
            .as_ref()
            .map_or_else(|error| format!("{error:#}"), Clone::clone);
        anyhow::ensure!(
            answer.is_err() && told.contains("You must be logged in"),
            "kubectl: {told}"
        );
        Ok(())
    }
}

/// The app that a Secret describes.
async fn app(stage: &Stage, secret: &BTreeMap<String, String>) -> Result<RelyingParty> {
    let registration = Registration {
        issuer: secret["OIDC_ISSUER"].clone(),
        client_id: secret["OIDC_CLIENT_ID"].clone(),
        client_secret: secret.get("OIDC_CLIENT_SECRET").cloned(),
        redirect_uri: REDIRECT_URI.to_owned(),
    };
    RelyingParty::discover_trusting(&stage.authority, registration).await
}

async fn sign_in(stage: &Stage, app: &RelyingParty) -> Result<Tokens> {
    let browser = Browser::trusting(&stage.authority)?;
    testbed::visit::sign_in(app, &browser, stage.person.username, &stage.person.password).await
}

/// The token with one character of its signature changed.
fn tampered(token: &str) -> String {
    let at = token.len() - 20;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// `kubectl get` is authorised by the groups in our ID token; what is not an ID token for this audience is nobody's.
pub(crate) async fn visit(stage: &Stage) -> Result<()> {
    let page = Page::read(PAGE)?;
    stage.kubectl.apply(page.block("rbac.yaml")?).await?;
    let secret = stage.register("kubectl", page.block("client.yaml")?).await?;
    let kubectl = app(stage, &secret).await?;
    let tokens = sign_in(stage, &kubectl).await?;
    let token = id_token(&tokens)?;
    let ada = Caller::new(stage, token)?;
    poll::until("the API server to take the ID token", PATIENCE, async || {
        ada.get("configmaps").await.map(Some)
    })
    .await?;
    who_is(&ada, stage).await?;
    let refusal = ada.get("secrets").await.err().context("ada may read Secrets")?;
    anyhow::ensure!(format!("{refusal:#}").contains("Forbidden"), "{refusal:#}");

    Caller::new(stage, &tampered(token))?.is_nobody().await?;
    Caller::new(stage, &tokens.access_token)?.is_nobody().await?;
    let other = json!({
        "apiVersion": "claviger.dev/v1alpha1",
        "kind": "OidcClient",
        "metadata": { "name": "not-kubectl", "namespace": NAMESPACE },
        "spec": { "redirectUris": [REDIRECT_URI] },
    });
    let other = stage.register("not-kubectl", &other.to_string()).await?;
    let others = sign_in(stage, &app(stage, &other).await?).await?;
    Caller::new(stage, id_token(&others)?)?.is_nobody().await?;
    expired(stage, &kubectl).await
}

async fn who_is(ada: &Caller, stage: &Stage) -> Result<()> {
    let review = ada.kubectl.run(&["auth", "whoami", "--output=json"]).await?;
    let review: Value = serde_json::from_str(&review)?;
    let user = &review["status"]["userInfo"];
    anyhow::ensure!(
        user["username"] == format!("claviger:{}", stage.person.subject),
        "{user}"
    );
    let group = json!(format!("claviger:{}", stage.person.groups[0]));
    let groups = user["groups"].as_array().context("nobody is in no group")?;
    anyhow::ensure!(groups.contains(&group), "{user}");
    Ok(())
}

/// The same client's token is nobody's once its time is over.
async fn expired(stage: &Stage, kubectl: &RelyingParty) -> Result<()> {
    let resources = stage.installation.resources()?;
    let spec = json!({ "tokens": { "idTokenLifetime": "3s" } });
    resources
        .change(Kind::OidcClient, NAMESPACE, "kubectl", spec)
        .await?;
    resources
        .wait_until_ready(Kind::OidcClient, NAMESPACE, "kubectl")
        .await?;
    let tokens = sign_in(stage, kubectl).await?;
    let brief = Caller::new(stage, id_token(&tokens)?)?;
    poll::until("the ID token to expire", PATIENCE, async || {
        brief.is_nobody().await.map(Some)
    })
    .await
}

fn id_token(tokens: &Tokens) -> Result<&str> {
    tokens.id_token.as_deref().context("there is no ID token")
}
