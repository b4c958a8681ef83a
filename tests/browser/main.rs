//! People's way through claviger in a real Chromium: the real binary on a real API server, installed from the chart, with
//! apps to sign in to. The scenarios are the scripts beside this file; each test plays one, with a person of its own.
//!
//! Every page of every scenario is looked at 320 and 1280 pixels wide, light and dark, by axe too; the pictures are kept
//! in `tests/output/browser/`. Anything that Chromium complains about fails the test (see `watch.mjs`).

mod stack;

use anyhow::Result;

/// The authorization code flow from an app and back to it, a mistyped password included.
#[test]
fn a_person_signs_in_to_an_app() -> Result<()> {
    stack::play("flow")
}

/// A person who says no sends the app `access_denied`, and is asked again the next time.
#[test]
fn a_person_says_no() -> Result<()> {
    stack::play("deny")
}

/// An unknown client or an unregistered redirect URI is an error page, never a redirect, and repeats nothing of the
/// request; so is a form that was altered, has no token, or was answered already.
#[test]
fn rule_01_errors_are_pages_and_never_redirects_in_a_browser() -> Result<()> {
    stack::play("errors")
}

/// After signing out the session is gone, its cookie cleared, silent sign-in fails, and the back button shows nothing.
#[test]
fn rule_72_signing_out_leaves_nothing_in_a_browser() -> Result<()> {
    stack::play("sign_out")
}

/// Sign-in, consent and sign-out need no JavaScript.
#[test]
fn everything_works_without_javascript() -> Result<()> {
    stack::play("no_javascript")
}

/// Sign-in, consent and sign-out need nothing but a keyboard, and the focus can be seen.
#[test]
fn everything_works_with_the_keyboard_alone() -> Result<()> {
    stack::play("keyboard")
}

/// A fresh sign-in that an app asked for cannot be skipped by reloading, by going back, by breaking off, or by a second
/// tab.
#[test]
fn rule_17_prompt_login_cannot_be_skipped_in_a_browser() -> Result<()> {
    stack::play("prompt_login")
}

/// A sign-in that was begun in one browser cannot be finished in another; another site's forms are refused and its frames
/// stay empty (`rule_64`, `rule_76`).
#[test]
fn rule_22_another_browsers_sign_in_cannot_be_finished() -> Result<()> {
    stack::play("attacks")
}

/// Cookies are for this host alone, out of scripts' reach and sent along only when a person comes over; the sign-in form
/// may lead to claviger and this app only (`rule_76`).
#[test]
fn rule_62_cookies_and_nothing_else_are_kept_in_a_browser() -> Result<()> {
    stack::play("cookies")
}

/// A person signs in for their account alone, sees who they are, where they are signed in and which apps have what, and
/// ends a session, all others, and an app.
#[test]
fn rule_75_a_person_sees_and_ends_what_is_theirs() -> Result<()> {
    stack::play("account")
}

/// A person chooses another password with the keyboard alone, and again without JavaScript; their other browsers are signed
/// out.
#[test]
fn rule_61_a_person_changes_their_password() -> Result<()> {
    stack::play("password")
}

/// After too many wrong passwords the page says when to try again, is accessible, keeps the username, and the person gets in.
#[test]
fn rule_68_a_throttled_person_is_told_when_to_try_again() -> Result<()> {
    stack::play("throttled")
}

/// With `form_post` the answer reaches the app in a POST, by a script or, where scripts are off, by a button; so does an
/// error.
#[test]
fn rule_10_form_post_works_with_and_without_javascript() -> Result<()> {
    stack::play("form_post")
}

/// An app that asks for a choice of accounts gets the one that is signed in, or another.
#[test]
fn rule_16_a_person_chooses_an_account() -> Result<()> {
    stack::play("select_account")
}

/// A person types the code of a device, or follows its link, sees what is asked, and allows or denies it, without
/// JavaScript.
#[test]
fn rule_43_a_person_signs_a_device_in() -> Result<()> {
    stack::play("device")
}

/// An app signs a person out and gets the browser back, where it is registered to; without proof of the session the person
/// is asked.
#[test]
fn rule_71_an_app_signs_a_person_out() -> Result<()> {
    stack::play("app_sign_out")
}

/// The longest names, made of markup, are shown as text and burst no page.
#[test]
fn hostile_names_are_text() -> Result<()> {
    stack::play("hostile_names")
}
