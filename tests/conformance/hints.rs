//! `id_token_hint` of an authorization request.

use anyhow::Result;

use crate::flow::{Request, Visitor};
use crate::signing::{part, unsigned};
use crate::stage::Stage;
use crate::wire::same;

tests![
    hint_of_who_is_signed_in_is_answered_silently,
    hint_of_somebody_else_is_not_answered_silently,
    hint_that_is_not_ours_is_refused,
];

async fn hint_of_who_is_signed_in_is_answered_silently(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let first = visitor.sign_in(app, &Request::new(app)?).await?;
    let request = Request::new(app)?
        .with("prompt", "none")
        .with("id_token_hint", first.id_token()?);
    let second = visitor.sign_in_silently(app, &request).await?;
    same("sub", second.sub()?, first.sub()?)
}

async fn hint_of_somebody_else_is_not_answered_silently(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let grace = Visitor::grace(stage)?;
    let of_grace = grace.sign_in(app, &Request::new(app)?).await?;
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    let request = Request::new(app)?.with("id_token_hint", of_grace.id_token()?);
    let silent = request.clone().with("prompt", "none");
    let answer = visitor.open(&silent).await?.answer()?;
    answer.is_error(&silent, "login_required")?;
    // Without prompt=none somebody is asked to sign in, and it has to be that person.
    let (page, form) = visitor.open(&request).await?.sign_in()?;
    let answer = visitor.type_password(&page, form).await?.answer()?;
    answer.is_error(&request, "login_required")?;
    visitor.stays_signed_in(app).await
}

async fn hint_that_is_not_ours_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let first = visitor.sign_in(app, &Request::new(app)?).await?;
    let claims = part(first.id_token()?, 1)?;
    let header = part(first.id_token()?, 0)?;
    let forged = stage.key.sign(header, &claims)?;
    for hint in [forged, unsigned(&claims), first.access_token()?.to_owned()] {
        let request = Request::new(app)?
            .with("prompt", "none")
            .with("id_token_hint", &hint);
        let answer = visitor.open(&request).await?.answer()?;
        answer.is_error(&request, "invalid_request")?;
    }
    Ok(())
}
