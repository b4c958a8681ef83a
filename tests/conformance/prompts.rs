//! `prompt` and `max_age`: whether people are asked, and whether they have to be there.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::clients::App;
use crate::flow::{Request, Shown, Visitor};
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{number, same};

tests![
    prompt_login_asks_who_is_signed_in,
    prompt_none_is_refused_where_nobody_is_signed_in,
    prompt_none_is_answered_where_somebody_is_signed_in,
    prompt_none_is_refused_where_consent_is_missing,
    prompt_none_with_another_value_is_refused,
    prompt_consent_asks_who_has_allowed_already,
    prompt_select_account_lets_people_choose,
    max_age_that_has_passed_asks_again,
    max_age_that_has_not_passed_asks_nobody,
    default_max_age_gives_auth_time,
];

/// A person who has signed in to the app, whose ID token says when.
async fn signed_in(stage: &'static Stage, app: &App) -> Result<(Visitor, SignedIn)> {
    let visitor = Visitor::ada(stage)?;
    let request = Request::new(app)?.with("max_age", "10000");
    let signed_in = visitor.sign_in(app, &request).await?;
    Ok((visitor, signed_in))
}

/// So that a second has passed on the clock that claviger tells time by.
async fn let_a_second_pass() {
    sleep(Duration::from_millis(2_100)).await;
}

async fn prompt_login_asks_who_is_signed_in(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, first) = signed_in(stage, app).await?;
    let_a_second_pass().await;
    let request = Request::new(app)?
        .with("prompt", "login")
        .with("max_age", "10000");
    // A second look at the page asks again, and skips nothing.
    visitor.open(&request).await?.sign_in()?;
    let (page, form) = visitor.open(&request).await?.sign_in()?;
    let shown = visitor.type_password(&page, form).await?;
    let answer = visitor.go_on(shown).await?;
    let second = visitor.redeem(app, &request, answer.code()?).await?;
    same("sub", second.sub()?, first.sub()?)?;
    anyhow::ensure!(
        number(&second.claims, "auth_time")? > number(&first.claims, "auth_time")?,
        "the second sign-in is not told as one: {} {}",
        first.claims,
        second.claims
    );
    Ok(())
}

async fn prompt_none_is_refused_where_nobody_is_signed_in(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?.with("prompt", "none");
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    answer.is_error(&request, "login_required")
}

async fn prompt_none_is_answered_where_somebody_is_signed_in(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, first) = signed_in(stage, app).await?;
    let request = Request::new(app)?.with("prompt", "none").with("max_age", "10000");
    let second = visitor.sign_in_silently(app, &request).await?;
    same("sub", second.sub()?, first.sub()?)?;
    same(
        "auth_time",
        &second.claims["auth_time"],
        &first.claims["auth_time"],
    )
}

async fn prompt_none_is_refused_where_consent_is_missing(stage: &'static Stage) -> Result<()> {
    let (visitor, _) = signed_in(stage, &stage.apps.basic).await?;
    let request = Request::new(&stage.apps.stranger)?.with("prompt", "none");
    let answer = visitor.open(&request).await?.answer()?;
    answer.is_error(&request, "consent_required")
}

async fn prompt_none_with_another_value_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, _) = signed_in(stage, app).await?;
    for prompt in ["none login", "consent none", "none select_account"] {
        let request = Request::new(app)?.with("prompt", prompt);
        let answer = visitor.open(&request).await?.answer()?;
        answer.is_error(&request, "invalid_request")?;
    }
    Ok(())
}

async fn prompt_consent_asks_who_has_allowed_already(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, _) = signed_in(stage, app).await?;
    visitor.sign_in_silently(app, &Request::new(app)?).await?;
    let request = Request::new(app)?.with("prompt", "consent");
    let (page, form) = visitor.open(&request).await?.consent()?;
    let answer = visitor.press(&page, &form, "allow").await?.answer()?;
    visitor.redeem(app, &request, answer.code()?).await?;
    Ok(())
}

async fn prompt_select_account_lets_people_choose(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, first) = signed_in(stage, app).await?;
    let request = Request::new(app)?.with("prompt", "select_account");
    let Shown::SelectAccount(page) = visitor.open(&request).await? else {
        anyhow::bail!("nobody may choose");
    };
    let forms = page.forms();
    let stays = visitor.press(&page, &forms[0], "continue").await?.answer()?;
    let second = visitor.redeem(app, &request, stays.code()?).await?;
    same("sub of who goes on", second.sub()?, first.sub()?)?;

    let request = Request::new(app)?.with("prompt", "select_account");
    let Shown::SelectAccount(page) = visitor.open(&request).await? else {
        anyhow::bail!("nobody may choose again");
    };
    let forms = page.forms();
    let shown = visitor.press(&page, &forms[0], "another-account").await?;
    let (page, form) = shown.sign_in()?;
    let grace = Visitor {
        person: &stage.people.grace,
        ..visitor
    };
    let shown = grace.type_password(&page, form).await?;
    let answer = grace.go_on(shown).await?;
    let other = grace.redeem(app, &request, answer.code()?).await?;
    anyhow::ensure!(other.sub()? != first.sub()?, "the other account is the same");
    Ok(())
}

async fn max_age_that_has_passed_asks_again(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, first) = signed_in(stage, app).await?;
    let_a_second_pass().await;
    let request = Request::new(app)?.with("max_age", "1");
    let silent = request.clone().with("prompt", "none");
    let answer = visitor.open(&silent).await?.answer()?;
    answer.is_error(&silent, "login_required")?;
    let (page, form) = visitor.open(&request).await?.sign_in()?;
    let shown = visitor.type_password(&page, form).await?;
    let answer = visitor.go_on(shown).await?;
    let second = visitor.redeem(app, &request, answer.code()?).await?;
    let auth_time = number(&second.claims, "auth_time")?;
    anyhow::ensure!(
        auth_time > number(&first.claims, "auth_time")?,
        "auth_time is still that of the first sign-in"
    );
    anyhow::ensure!(
        auth_time <= number(&second.claims, "iat")?,
        "auth_time is in the future"
    );
    Ok(())
}

async fn max_age_that_has_not_passed_asks_nobody(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let (visitor, first) = signed_in(stage, app).await?;
    let_a_second_pass().await;
    let request = Request::new(app)?.with("max_age", "10000");
    let second = visitor.sign_in_silently(app, &request).await?;
    same(
        "auth_time",
        number(&second.claims, "auth_time")?,
        number(&first.claims, "auth_time")?,
    )?;
    same("sub", second.sub()?, first.sub()?)
}

async fn default_max_age_gives_auth_time(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.aged;
    let signed_in = Visitor::ada(stage)?.sign_in(app, &Request::new(app)?).await?;
    let (auth_time, iat) = (
        number(&signed_in.claims, "auth_time")?,
        number(&signed_in.claims, "iat")?,
    );
    anyhow::ensure!(
        (iat - 300..=iat).contains(&auth_time),
        "auth_time {auth_time}, iat {iat}"
    );
    Ok(())
}
