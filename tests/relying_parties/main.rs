//! Apps and libraries that many use, each signing a person in and out at the built program over https. Manifest, settings
//! and, for a library, a whole app are those of the app's page in `docs/src/apps/`, so that no page can rot.
//!
//! What an app needs is installed by `tests/tools/packages.sh` from the lists in `packages/`.

mod app;
mod container;
mod kubernetes;
mod page;
mod stage;
mod visit;

use anyhow::{Context, Result};
use testbed::browser::Page;
use testbed::tools;

use crate::app::App;
use crate::stage::Stage;
use crate::visit::Visitor;

/// Where an app of a page shows who is there, signs in and signs out.
struct Way {
    home: &'static str,
    sign_in: &'static str,
    sign_out: &'static str,
}

/// The ways of the pages that hold a whole app.
const OWN: Way = Way {
    home: "/",
    sign_in: "/sign-in",
    sign_out: "/sign-out",
};

/// Plays a visit to the app of a page, or says that what it needs cannot be installed.
fn visit(name: &str, way: &Way) -> Result<()> {
    let packages = match tools::packages(name) {
        Ok(packages) => packages,
        Err(error) => return tools::skip(name, error),
    };
    let stage = Stage::shared()?;
    stage.runtime.block_on(async {
        let app = App::start(stage, name, &packages).await?;
        sign_in_and_out(stage, &app, way)
            .await
            .with_context(|| format!("the app has printed:\n{}\n", app.tail()))
    })
}

async fn sign_in_and_out(stage: &Stage, app: &App, way: &Way) -> Result<()> {
    let visitor = Visitor::new(stage)?;
    let home = app.url(way.home)?;
    anyhow::ensure!(!visitor.is_known(&home).await?, "the app knows a stranger");
    visitor.open(&app.url(way.sign_in)?).await?;
    let page = visitor.open(&home).await?;
    shows(&page, stage)?;
    visitor.open(&app.url(way.sign_out)?).await?;
    anyhow::ensure!(
        !visitor.is_known(&home).await?,
        "the app still knows who was there"
    );
    Ok(())
}

/// The app shows what our tokens say.
fn shows(page: &Page, stage: &Stage) -> Result<()> {
    let person = &stage.person;
    for wanted in [&person.subject, person.email, person.group] {
        anyhow::ensure!(
            page.body.contains(wanted),
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

#[test]
fn oauth4webapi() -> Result<()> {
    visit("oauth4webapi", &OWN)
}

#[test]
fn express_openid_connect() -> Result<()> {
    visit("express-openid-connect", &OWN)
}

#[test]
fn authlib_with_flask() -> Result<()> {
    visit("authlib", &OWN)
}

/// `kubectl get` is authorised by the groups in our ID token.
#[test]
fn the_kubernetes_api_server() -> Result<()> {
    let stage = Stage::shared()?;
    stage.runtime.block_on(kubernetes::visit(stage))
}
