//! Proof keys (RFC 7636), which the profile Basic leaves to the app.

use anyhow::Result;
use aws_lc_rs::digest::{SHA256, digest};
use testbed::random;

use crate::flow::{Request, Visitor};
use crate::signing::encode;
use crate::stage::Stage;
use crate::tokens::code_form;

tests![
    pkce_with_its_verifier_is_accepted,
    pkce_with_another_verifier_is_refused,
    pkce_without_a_verifier_is_refused,
    pkce_verifier_without_a_challenge_is_refused,
    pkce_by_another_method_is_refused,
];

/// A code that was asked for with a challenge, and the verifier.
async fn code(stage: &'static Stage) -> Result<(String, String)> {
    let verifier = random::token()?;
    let challenge = encode(digest(&SHA256, verifier.as_bytes()));
    let request = Request::new(&stage.apps.basic)?
        .with("code_challenge", &challenge)
        .with("code_challenge_method", "S256");
    let answer = Visitor::ada(stage)?.answer(&request).await?;
    Ok((answer.code()?.to_owned(), verifier))
}

async fn pkce_with_its_verifier_is_accepted(stage: &'static Stage) -> Result<()> {
    let (code, verifier) = code(stage).await?;
    let form = [&code_form(&code)[..], &[("code_verifier", &verifier)]].concat();
    stage.apps.basic.token(stage, &form).await?.success()?;
    Ok(())
}

async fn pkce_with_another_verifier_is_refused(stage: &'static Stage) -> Result<()> {
    let (code, _) = code(stage).await?;
    let other = random::token()?;
    let form = [&code_form(&code)[..], &[("code_verifier", &other)]].concat();
    stage
        .apps
        .basic
        .token(stage, &form)
        .await?
        .refuses(400, "invalid_grant")
}

async fn pkce_without_a_verifier_is_refused(stage: &'static Stage) -> Result<()> {
    let (code, _) = code(stage).await?;
    stage
        .apps
        .basic
        .redeem(stage, &code)
        .await?
        .refuses(400, "invalid_grant")
}

async fn pkce_verifier_without_a_challenge_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let answer = Visitor::ada(stage)?.answer(&Request::new(app)?).await?;
    let verifier = random::token()?;
    let form = [&code_form(answer.code()?)[..], &[("code_verifier", &verifier)]].concat();
    app.token(stage, &form).await?.refuses(400, "invalid_grant")
}

async fn pkce_by_another_method_is_refused(stage: &'static Stage) -> Result<()> {
    let visitor = Visitor::ada(stage)?;
    let request = Request::new(&stage.apps.basic)?.with("code_challenge", &random::token()?);
    // A method that is left out means `plain`.
    for method in [None, Some("plain"), Some("S512")] {
        let request = match method {
            Some(method) => request.clone().with("code_challenge_method", method),
            None => request.clone(),
        };
        let answer = visitor.open(&request).await?.answer()?;
        answer.is_error(&request, "invalid_request")?;
    }
    Ok(())
}
