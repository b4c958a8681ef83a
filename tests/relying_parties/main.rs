//! Apps and libraries that many use, each signing a person in and out at the built program over https. Manifest, settings
//! and, for a library, a whole app are those of the app's page in `docs/src/apps/`, so that no page can rot.
//!
//! What an app needs is installed by `tests/tools/packages.sh` from the lists in `packages/`.

mod app;
mod container;
mod fapi2;
mod kubernetes;
mod page;
mod stage;
mod visit;

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testbed::browser::Page;
use testbed::{poll, tools};
use url::Url;

use crate::app::App;
use crate::stage::Stage;
use crate::visit::Visitor;

/// How long an app may take to be told.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where an app of a page shows who is there, and how a person signs in and out.
struct Way {
    home: &'static str,
    sign_in: &'static str,
    sign_out: SignOut,
    end: End,
    shown: &'static [Fact],
    /// Whether it hears that a person signed out of claviger itself.
    told: bool,
}

/// How a person signs out of an app.
enum SignOut {
    /// By following a link to this path.
    Link(&'static str),
    /// By the form of the page at this path.
    Form(&'static str),
}

/// Where signing out ends.
enum End {
    /// Back at the app.
    App,
    /// At claviger, since the app protects its first page or asks for nothing else.
    Claviger,
}

impl End {
    fn is_reached(&self, url: &Url, stage: &Stage, home: &Url) -> bool {
        match self {
            Self::App => url.origin() == home.origin(),
            Self::Claviger => url.as_str().starts_with(&stage.issuer()),
        }
    }
}

/// What an app knows of a person.
enum Fact {
    Subject,
    Email,
    Group,
    /// The list of all groups in JSON in base64, as Envoy makes a header of it.
    EncodedGroups,
}

/// The ways of the pages that hold a whole app.
const OWN: Way = Way {
    home: "/",
    sign_in: "/sign-in",
    sign_out: SignOut::Link("/sign-out"),
    end: End::App,
    shown: &[Fact::Subject, Fact::Email, Fact::Group],
    told: false,
};

/// Plays a visit to the app of a page, or says that what it needs cannot be installed.
fn visit(name: &str, way: &Way) -> Result<()> {
    let packages = match tools::packages(name) {
        Ok(packages) => packages,
        Err(error) => return tools::skip(name, error),
    };
    let stage = Stage::shared()?;
    stage.runtime.block_on(async {
        let mut app = App::start(stage, name, &packages, None).await?;
        sign_in_and_out(stage, &mut app, way)
            .await
            .with_context(|| format!("the app has printed:\n{}\n", app.tail()))
    })
}

async fn sign_in_and_out(stage: &Stage, app: &mut App, way: &Way) -> Result<()> {
    let visitor = Visitor::new(stage)?;
    let home = app.url(way.home)?;
    app.wait_until_it_answers(visitor.browser(), &home).await?;
    anyhow::ensure!(!visitor.is_known(&home).await?, "the app knows a stranger");
    visitor.open(&app.url(way.sign_in)?).await?;
    anyhow::ensure!(
        visitor.is_known(&home).await?,
        "the app does not know who signed in"
    );
    let page = visitor.open(&home).await?;
    shows(&page, stage, way.shown)?;
    anyhow::ensure!(
        visitor.is_signed_in().await?,
        "claviger does not know who signed in"
    );
    let end = match way.sign_out {
        SignOut::Link(path) => visitor.leave(&app.url(path)?).await?,
        SignOut::Form(path) => visitor.leave_by_form(&app.url(path)?).await?,
    };
    anyhow::ensure!(
        way.end.is_reached(&end, stage, &home),
        "signing out ends at {end}"
    );
    anyhow::ensure!(
        !visitor.is_signed_in().await?,
        "claviger still knows who was there"
    );
    anyhow::ensure!(
        !visitor.is_known(&home).await?,
        "the app still knows who was there"
    );
    if way.told {
        signs_out_at_claviger(stage, app, way, &visitor).await?;
    }
    Ok(())
}

/// The person signs in again, and out at claviger: the app, which they do not visit, hears of it.
async fn signs_out_at_claviger(stage: &Stage, app: &App, way: &Way, visitor: &Visitor<'_>) -> Result<()> {
    let home = app.url(way.home)?;
    visitor.open(&app.url(way.sign_in)?).await?;
    anyhow::ensure!(
        visitor.is_known(&home).await?,
        "the app does not know who signed in again"
    );
    visitor
        .leave(&format!("{}/logout", stage.issuer()).parse()?)
        .await?;
    poll::until("the app to be told", PATIENCE, async || {
        Ok((!visitor.is_known(&home).await?).then_some(()))
    })
    .await
}

/// The app shows what our tokens say.
fn shows(page: &Page, stage: &Stage, facts: &[Fact]) -> Result<()> {
    let person = &stage.person;
    for fact in facts {
        let wanted = match fact {
            Fact::Subject => person.subject.clone(),
            Fact::Email => person.email.to_owned(),
            Fact::Group => person.groups[0].to_owned(),
            Fact::EncodedGroups => STANDARD.encode(json!(person.groups).to_string()),
        };
        anyhow::ensure!(
            page.body.contains(&wanted),
            "{} answers {} and does not show {wanted}: {}",
            page.url,
            page.status,
            page.text()
        );
    }
    Ok(())
}

#[test]
fn openid_client() -> Result<()> {
    visit("openid-client", &OWN)
}

/// With the FAPI 2.0 profile, and with what a thief of an access token gets by it.
#[test]
fn openid_client_with_fapi2() -> Result<()> {
    let packages = match tools::packages("openid-client") {
        Ok(packages) => packages,
        Err(error) => return tools::skip(fapi2::PAGE, error),
    };
    let stage = Stage::shared()?;
    stage.runtime.block_on(async {
        let (mut app, mut api) = fapi2::start(stage, &packages).await?;
        let visits = async {
            sign_in_and_out(stage, &mut app, &OWN).await?;
            fapi2::visit(stage, &app, &mut api).await
        };
        let outcome = visits.await;
        outcome.with_context(|| format!("the app has printed:\n{}\n", app.tail()))
    })
}

#[test]
fn oauth4webapi() -> Result<()> {
    visit("oauth4webapi", &OWN)
}

#[test]
fn express_openid_connect() -> Result<()> {
    visit("express-openid-connect", &Way { told: true, ..OWN })
}

#[test]
fn authlib_with_flask() -> Result<()> {
    visit("authlib", &OWN)
}

#[test]
fn mozilla_django_oidc() -> Result<()> {
    let way = Way {
        sign_in: "/oidc/authenticate/",
        sign_out: SignOut::Form("/"),
        ..OWN
    };
    visit("mozilla-django-oidc", &way)
}

#[test]
fn rust_openidconnect() -> Result<()> {
    visit("rust-openidconnect", &OWN)
}

#[test]
fn mod_auth_openidc_of_apache() -> Result<()> {
    let way = Way {
        sign_in: "/",
        sign_out: SignOut::Link("/callback?logout="),
        told: true,
        ..OWN
    };
    visit("apache", &way)
}

/// The proxy has no e-mail address: that is at userinfo, which it does not ask.
#[test]
fn oauth2_and_jwt_authn_of_envoy() -> Result<()> {
    let way = Way {
        sign_in: "/",
        end: End::Claviger,
        shown: &[Fact::Subject, Fact::EncodedGroups],
        ..OWN
    };
    visit("envoy", &way)
}

#[test]
fn jupyterhub_with_oauthenticator() -> Result<()> {
    let way = Way {
        home: "/hub/home",
        sign_in: "/hub/oauth_login?next=%2Fhub%2Fhome",
        sign_out: SignOut::Link("/hub/logout"),
        end: End::Claviger,
        shown: &[Fact::Subject],
        told: false,
    };
    visit("jupyterhub", &way)
}

#[test]
fn spring_security() -> Result<()> {
    let way = Way {
        sign_in: "/oauth2/authorization/claviger",
        sign_out: SignOut::Form("/logout"),
        ..OWN
    };
    visit("spring", &way)
}

/// `kubectl get` is authorised by the groups in our ID token.
#[test]
fn the_kubernetes_api_server() -> Result<()> {
    let stage = Stage::shared()?;
    stage.runtime.block_on(kubernetes::visit(stage))
}
