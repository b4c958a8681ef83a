//! Sign-in under attack: attempts are counted by account and by network, the wait grows, and the person still gets in.

use std::time::Duration;

use claviger::store::Store;
use futures::future::join_all;
use http::StatusCode;

use crate::app::{TestApp, TestResponse};
use crate::browser::{Browser, Form, PASSWORD, app_with_ada, assert_sign_in_page};
use crate::faulty_store::Fault;
use crate::log::Log;

/// As many failures cost nothing: of one account from one network, of one network, of one account from everywhere.
const FREE: usize = 10;
const FREE_OF_NETWORK: usize = 50;
const FREE_OF_ACCOUNT: usize = 100;

/// Wrong passwords until the first wait: how many were looked at.
async fn attack(browser: &Browser<'_>, username: &str, times: usize) -> usize {
    let page = browser.authorize(&[("prompt", "login")]).await;
    let mut looked_at = 0;
    for _ in 0..times {
        match browser.sign_in(&page, username, "wrong").await.status {
            StatusCode::FORBIDDEN => looked_at += 1,
            status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    looked_at
}

async fn sign_in(browser: &Browser<'_>, username: &str, password: &str) -> TestResponse {
    let page = browser.authorize(&[("prompt", "login")]).await;
    assert_sign_in_page(&page);
    browser.sign_in(&page, username, password).await
}

async fn sign_in_status(browser: &Browser<'_>, username: &str, password: &str) -> StatusCode {
    sign_in(browser, username, password).await.status
}

/// After ten wrong passwords the next sign-in waits: 429 with `Retry-After`, on the form, without a hash; the wait doubles
/// up to 15 minutes, and after it the right password is accepted.
#[tokio::test]
async fn rule_68_the_wait_grows_up_to_a_bound() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    assert_eq!(attack(&browser, "ada", FREE + 5).await, FREE);
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 900, 900, 900] {
        let before = app.hasher.computed();
        let response = sign_in(&browser, "ada", PASSWORD).await;
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.header("retry-after"), Some(&*wait.to_string()));
        assert_eq!(app.hasher.computed(), before, "nothing is hashed");
        app.advance(Duration::from_secs(wait));
        assert_eq!(
            sign_in_status(&browser, "ada", "wrong").await,
            StatusCode::FORBIDDEN
        );
    }
    app.advance(Duration::from_mins(15));
    assert_eq!(
        sign_in_status(&browser, "ada", PASSWORD).await,
        StatusCode::SEE_OTHER
    );
}

/// The page says when to try again, is announced, keeps the username and never the password.
#[tokio::test]
async fn rule_68_the_page_says_when_to_try_again() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    attack(&browser, "ada", FREE).await;
    let page = browser.authorize(&[]).await;
    let response = browser.sign_in(&page, "Ada ", "password-marker").await;
    let text = response.text();
    assert!(text.contains("Please try again in 1 second."), "{text}");
    assert!(
        text.contains("id=\"error\" class=\"alert\" role=\"alert\""),
        "{text}"
    );
    assert!(!text.contains("aria-invalid"), "{text}");
    assert!(!text.contains("password-marker"));
    assert_eq!(Form::of(&response).field("username"), "Ada ");
    app.advance(Duration::from_secs(1));
    let redirect = browser.sign_in(&response, "ada", PASSWORD).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER, "the form still works");
}

/// A thousand wrong sign-ins at once are counted exactly: ten are looked at, and a right password among later ones is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_68_parallel_attempts_are_counted_exactly() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let before = app.hasher.computed();
    let attempts = (0..1000).map(|_| browser.sign_in(&page, "ada", "wrong"));
    let statuses: Vec<_> = join_all(attempts)
        .await
        .iter()
        .map(|response| response.status)
        .collect();
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(count(StatusCode::FORBIDDEN), FREE);
    assert_eq!(count(StatusCode::TOO_MANY_REQUESTS), 1000 - FREE);
    assert_eq!(app.hasher.computed(), before + FREE);
}

/// Whatever way a username is written that finds the account, it is counted as that account.
#[tokio::test]
async fn rule_68_spellings_of_a_username_share_a_bucket() {
    let app = app_with_ada().await;
    app.register_user_with_password("kim", PASSWORD).await;
    let browser = Browser::new(&app);
    // The last begins with the Kelvin sign, whose lower case is the letter k.
    let spellings = ["kim", "KIM", " Kim\t", "kIm\u{a0}", "\u{212a}im"];
    for spelling in spellings.iter().cycle().take(FREE) {
        assert_eq!(
            sign_in_status(&browser, spelling, "wrong").await,
            StatusCode::FORBIDDEN
        );
    }
    for spelling in spellings {
        let status = sign_in_status(&browser, spelling, PASSWORD).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{spelling:?}");
    }
}

/// An unknown name is throttled as a known one is, with the same page (rule 67).
#[tokio::test]
async fn rule_68_unknown_users_are_throttled_alike() {
    let app = app_with_ada().await;
    let mut pages = Vec::new();
    for (username, address) in [("ada", "192.0.2.1"), ("nobody", "192.0.2.2")] {
        let browser = Browser::at(&app, address);
        assert_eq!(attack(&browser, username, FREE).await, FREE);
        let page = browser.authorize(&[]).await;
        let response = browser.sign_in(&page, username, PASSWORD).await;
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.header("retry-after"), Some("1"));
        let form = Form::of(&response);
        let text = ["csrf_token", "interaction", "username"]
            .iter()
            .fold(response.text(), |text, name| text.replace(form.field(name), ""));
        pages.push(text);
    }
    assert_eq!(pages[0], pages[1]);
}

/// An attack from one network does not meet the person in another one; the addresses of one /64 are one network.
#[tokio::test]
async fn rule_68_the_person_signs_in_from_elsewhere() {
    let app = app_with_ada().await;
    attack(&Browser::at(&app, "2001:db8:0:1::1"), "ada", FREE).await;
    let same = Browser::at(&app, "2001:db8:0:1:ffff::2");
    assert_eq!(
        sign_in_status(&same, "ada", PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    let next = Browser::at(&app, "2001:db8:0:2::1");
    assert_eq!(
        sign_in_status(&next, "ada", PASSWORD).await,
        StatusCode::SEE_OTHER
    );
    let other = Browser::at(&app, "192.0.2.1");
    assert_eq!(
        sign_in_status(&other, "ada", PASSWORD).await,
        StatusCode::SEE_OTHER
    );
    attack(&Browser::at(&app, "192.0.2.1"), "ada", FREE).await;
    let mapped = Browser::at(&app, "::ffff:192.0.2.1");
    let status = sign_in_status(&mapped, "ada", PASSWORD).await;
    assert_eq!(
        status,
        StatusCode::TOO_MANY_REQUESTS,
        "the same address, written as IPv6"
    );
}

/// A browser in which the person has signed in before is counted apart: neither an attack from its own network nor one from
/// everywhere makes it wait. The cookie counts for that account alone, and only as it was given.
#[tokio::test]
async fn rule_68_a_known_browser_is_counted_apart() {
    let app = app_with_ada().await;
    app.register_user_with_password("eve", PASSWORD).await;
    let own = Browser::at(&app, "192.0.2.1");
    assert_eq!(sign_in_status(&own, "ada", PASSWORD).await, StatusCode::SEE_OTHER);
    let (name, value) = own.named_cookie("-known-");
    assert!(name.starts_with("__Host-claviger-known-"), "{name}");

    for network in 0..=FREE_OF_ACCOUNT / FREE {
        attack(&Browser::at(&app, &format!("198.51.100.{network}")), "ada", FREE).await;
    }
    attack(&Browser::at(&app, "192.0.2.1"), "ada", FREE).await;
    attack(&Browser::at(&app, "192.0.2.1"), "eve", FREE).await;
    let stranger = Browser::at(&app, "203.0.113.1");
    let response = sign_in(&stranger, "ada", PASSWORD).await;
    assert_eq!(
        response.status,
        StatusCode::TOO_MANY_REQUESTS,
        "the account waits"
    );
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!(
        wait <= 60,
        "a minute at most, where nobody ever signed in: {wait}"
    );

    assert_eq!(
        sign_in_status(&own, "eve", PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(sign_in_status(&own, "ada", PASSWORD).await, StatusCode::SEE_OTHER);

    let forger = Browser::at(&app, "192.0.2.1");
    let mut altered = value.clone();
    altered.replace_range(30..31, if &value[30..31] == "A" { "B" } else { "A" });
    forger.cookies.borrow_mut().insert(name, altered);
    assert_eq!(
        sign_in_status(&forger, "ada", PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );

    // Its own bucket is as small as any.
    assert_eq!(attack(&own, "ada", FREE + 5).await, FREE);
}

/// What an administrator can do when an attack from everywhere keeps a person out of new browsers: what is counted is counted
/// for the name, so under another one the person signs in at once, and is signed in where they were.
#[tokio::test]
async fn rule_68_another_username_leaves_the_attack_behind() {
    let app = app_with_ada().await;
    let own = Browser::at(&app, "192.0.2.1");
    assert_eq!(sign_in_status(&own, "ada", PASSWORD).await, StatusCode::SEE_OTHER);
    for network in 0..FREE_OF_ACCOUNT / FREE {
        attack(&Browser::at(&app, &format!("198.51.100.{network}")), "ada", FREE).await;
    }
    let new = Browser::at(&app, "192.0.2.2");
    assert_eq!(
        sign_in_status(&new, "ada", PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    let ada = app.store.user_by_username("ada").await.unwrap().unwrap();
    app.register_user_with("ada", |registration| {
        registration.user.username = "ada-4711".to_owned();
        registration.password = ada.password;
    })
    .await;
    assert_eq!(
        sign_in_status(&new, "ada-4711", PASSWORD).await,
        StatusCode::SEE_OTHER
    );
    let page = own.get("/account").await;
    assert!(page.text().contains("(ada-4711)"), "{}", page.text());
}

/// Whoever once had the password may have had many browsers known with it. After it has changed, all of them together are
/// counted, so that many cookies are not many guesses.
#[tokio::test]
async fn rule_68_known_browsers_are_counted_together() {
    let app = app_with_ada().await;
    let mut looked_at = 0;
    let mut known = Vec::new();
    for network in 0..FREE_OF_ACCOUNT / FREE + 3 {
        let browser = Browser::at(&app, &format!("198.51.100.{network}"));
        assert_eq!(
            sign_in_status(&browser, "ada", PASSWORD).await,
            StatusCode::SEE_OTHER
        );
        known.push(browser);
    }
    for browser in &known {
        looked_at += attack(browser, "ada", FREE).await;
    }
    assert_eq!(looked_at, FREE_OF_ACCOUNT);
    // In a browser that was never used the person is not met by that.
    let own = Browser::at(&app, "192.0.2.1");
    assert_eq!(sign_in_status(&own, "ada", PASSWORD).await, StatusCode::SEE_OTHER);
}

/// The cookie of a known browser is nothing to sign in with, and is forgotten after 90 days.
#[tokio::test]
async fn rule_68_a_known_browser_is_throttled_too_and_forgotten() {
    let app = app_with_ada().await;
    let own = Browser::at(&app, "192.0.2.1");
    assert_eq!(sign_in_status(&own, "ada", PASSWORD).await, StatusCode::SEE_OTHER);
    let (name, value) = own.named_cookie("-known-");
    let known = |address| {
        let browser = Browser::at(&app, address);
        browser.cookies.borrow_mut().insert(name.clone(), value.clone());
        browser
    };
    assert_eq!(attack(&known("192.0.2.2"), "ada", FREE + 5).await, FREE);
    let copy = known("192.0.2.3");
    let status = sign_in_status(&copy, "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "a copy shares the bucket");
    attack(&Browser::at(&app, "192.0.2.4"), "ada", FREE).await;
    app.advance(Duration::from_secs(1));
    let status = sign_in_status(&known("192.0.2.4"), "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::SEE_OTHER);

    app.advance(Duration::from_hours(90 * 24));
    attack(&Browser::at(&app, "192.0.2.5"), "ada", FREE).await;
    let status = sign_in_status(&known("192.0.2.5"), "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "known no longer");
}

/// Whoever tries many accounts from one network waits too, however few passwords for each; people behind the same address
/// who type theirs right are never counted.
#[tokio::test]
async fn rule_68_a_network_is_throttled_over_all_accounts() {
    let app = app_with_ada().await;
    let office = Browser::at(&app, "192.0.2.1");
    for _ in 0..2 * FREE_OF_NETWORK {
        let colleague = Browser::at(&app, "192.0.2.1");
        assert_eq!(
            sign_in_status(&colleague, "ada", PASSWORD).await,
            StatusCode::SEE_OTHER
        );
    }
    let page = office.authorize(&[]).await;
    for number in 0..FREE_OF_NETWORK {
        let response = office.sign_in(&page, &format!("user-{number}"), "wrong").await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{number}");
    }
    let response = office.sign_in(&page, "another", "wrong").await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    let elsewhere = Browser::at(&app, "192.0.2.2");
    assert_eq!(
        sign_in_status(&elsewhere, "another", "wrong").await,
        StatusCode::FORBIDDEN
    );
    app.advance(Duration::from_secs(30));
    assert_eq!(
        office.sign_in(&page, "another", "wrong").await.status,
        StatusCode::FORBIDDEN
    );
}

/// A right password clears what was counted for account and network, but an attacker's own account does not clear what is
/// counted for their network.
#[tokio::test]
async fn rule_68_success_resets_what_it_should() {
    let app = app_with_ada().await;
    let typist = Browser::at(&app, "192.0.2.1");
    attack(&typist, "ada", FREE - 1).await;
    assert_eq!(
        sign_in_status(&typist, "ada", PASSWORD).await,
        StatusCode::SEE_OTHER
    );
    let again = Browser::at(&app, "192.0.2.1");
    assert_eq!(attack(&again, "ada", FREE + 5).await, FREE);

    let page = Browser::at(&app, "192.0.2.2");
    let form = page.authorize(&[]).await;
    let mut looked_at = 0;
    for number in 0..2 * FREE_OF_NETWORK {
        let own = Browser::at(&app, "192.0.2.2");
        sign_in(&own, "ada", PASSWORD).await;
        let response = page.sign_in(&form, &format!("user-{number}"), "wrong").await;
        looked_at += usize::from(response.status == StatusCode::FORBIDDEN);
    }
    assert_eq!(looked_at, FREE_OF_NETWORK);
}

/// A password that nobody looked at, since too many waited, is not counted.
#[tokio::test]
async fn rule_68_what_was_not_checked_is_not_counted() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    app.hasher.set_full(true);
    for _ in 0..2 * FREE {
        let status = sign_in_status(&browser, "ada", PASSWORD).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    app.hasher.set_full(false);
    assert_eq!(attack(&browser, "ada", FREE + 5).await, FREE);
}

/// Without the store nothing is counted, so nothing is checked: an error is never a way around the throttle.
#[tokio::test]
async fn rule_68_no_attempt_goes_uncounted() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let before = app.hasher.computed();
    app.store.fail("begin_attempt", Fault::Unavailable);
    let response = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(app.hasher.computed(), before);
    app.store.heal();
    assert_eq!(
        browser.sign_in(&page, "ada", PASSWORD).await.status,
        StatusCode::SEE_OTHER
    );
}

/// What is counted is forgotten in time: the sweep leaves nothing behind.
#[tokio::test]
async fn rule_68_nothing_is_kept_for_ever() {
    let app = app_with_ada().await;
    attack(&Browser::at(&app, "192.0.2.1"), "ada", FREE + 5).await;
    attack(&Browser::at(&app, "192.0.2.2"), "nobody", FREE + 5).await;
    assert_eq!(app.store.sweep(100).await.unwrap(), 0);
    app.advance(Duration::from_hours(5));
    assert_eq!(app.store.sweep(100).await.unwrap(), 6);
}

/// A throttled sign-in is an audit event of pseudonyms: no name, no address.
#[tokio::test]
async fn rule_87_a_throttled_sign_in_is_an_audit_event() {
    let app = app_with_ada().await;
    let browser = Browser::at(&app, "192.0.2.77");
    attack(&browser, "marker-name", FREE).await;
    let (log, _guard) = Log::capture();
    attack(&browser, "marker-name", 2).await;
    let audit = log.audit();
    assert_eq!(audit.len(), 2, "{audit:?}");
    for line in &audit {
        assert_eq!(line["fields"]["event"], "sign_in_throttled");
        assert_eq!(line["fields"]["bucket"], "account_from_network");
        for name in ["username_pseudonym", "network_pseudonym"] {
            assert!(
                line["fields"][name].as_str().is_some_and(|id| id.len() == 12),
                "{line}"
            );
        }
    }
    for secret in ["marker", "192.0.2.77", "wrong"] {
        assert!(!log.text().contains(secret), "{secret} in {}", log.text());
    }
}

/// The app of a test is not slowed down by the one of another.
#[tokio::test]
async fn an_untouched_app_keeps_no_bucket() {
    let app: TestApp = app_with_ada().await;
    let browser = Browser::new(&app);
    assert_eq!(
        sign_in_status(&browser, "ada", PASSWORD).await,
        StatusCode::SEE_OTHER
    );
    app.advance(Duration::from_hours(24 * 30));
    // The session with its interaction, and no bucket: a right password leaves none.
    assert_eq!(app.store.sweep(100).await.unwrap(), 2);
}
