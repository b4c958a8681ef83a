//! The contract of the store port: plain functions over `&dyn Store` and a clock, run against each back end.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a step that fails fails the test"
)]

#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/fixtures.rs"]
mod fixtures;

mod access_tokens;
mod accounts;
mod belonging;
mod bench;
mod clients;
mod codes;
mod device_codes;
mod expiry;
mod grants;
mod logout_notices;
mod pushed_requests;
mod refresh_tokens;
mod resource_identifiers;
mod secret_versions;
mod sessions;
mod sled_only;
mod spent_jtis;
mod throttle;
mod users;

/// Makes each check a test of each back end.
macro_rules! for_each_back_end {
    ($($module:ident { $($check:ident),* $(,)? })*) => {
        mod memory {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $check() {
                    let bench = crate::bench::Bench::memory();
                    crate::$module::$check(&bench).await;
                })*
            })*
        }
        mod sled {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $check() {
                    let bench = crate::bench::Bench::sled();
                    crate::$module::$check(&bench).await;
                })*
            })*
        }
    };
}

for_each_back_end! {
    access_tokens {
        rule_54_an_opaque_access_token_is_kept_until_its_expiry,
        rule_54_a_grant_has_a_hundred_opaque_access_tokens,
        rule_60_a_revoked_access_token_stays_revoked,
        rule_60_so_many_revoked_access_tokens_are_remembered,
        rule_20_a_token_is_dead_without_its_client,
        rule_56_a_client_id_is_nobodys_subject,
    }
    accounts {
        rule_61_a_session_begins_without_an_interaction,
        rule_75_an_account_shows_what_is_there,
        rule_75_one_session_ends,
        rule_75_all_other_sessions_end,
        rule_38_an_apps_grants_end_with_its_consent,
        rule_38_a_password_that_the_person_chose_ends_the_rest,
        rule_38_a_password_is_changed_only_by_who_knows_it,
        rule_38_two_changes_at_once_are_one,
        rule_38_a_reset_wins_over_the_persons_own_password,
    }
    belonging {
        the_first_cluster_stays,
        the_first_keyring_stays,
        rule_32b_the_keys_of_the_cluster_are_the_newest,
        a_store_is_provisioned_once,
    }
    clients {
        a_client_is_registered_and_replaced,
        versions_come_to_a_client_without_any,
        a_claim_that_is_held_stays,
        a_changed_secret_name_frees_the_old_one,
        rule_52_how_long_tokens_live_is_known,
        an_absent_client_is_refused_and_may_return,
        an_absent_client_is_purged_after_a_day,
        a_removed_client_takes_everything_with_it,
        a_recreated_resource_is_another_client,
        rule_79_an_origin_is_that_of_a_live_client,
        rule_20_a_suspended_client_gets_nothing_and_keeps_everything,
    }
    resource_identifiers {
        rule_41_the_first_to_claim_an_identifier_holds_it,
        rule_41_a_claim_ends_with_its_registration,
    }
    secret_versions {
        a_rotation_leaves_both_versions_until_the_old_one_ends,
        a_rotation_is_a_compare_and_set,
        as_many_versions_as_are_compared,
    }
    users {
        a_user_is_registered_and_replaced,
        a_claim_that_is_held_stays,
        a_changed_name_ends_nothing,
        a_change_of_a_user_is_noted,
        rule_63_a_disabled_user_loses_everything_at_once,
        rule_38_a_changed_password_ends_everything,
        an_upgraded_hash_stays,
        an_absent_user_loses_everything_and_may_return,
        an_absent_user_is_purged_after_a_day,
        a_removed_user_leaves_a_tombstone,
        a_recreated_resource_is_another_user,
    }
    sessions {
        a_session_is_found_with_its_user,
        rule_63_a_session_ends_idle_or_old,
        the_oldest_of_too_many_sessions_makes_room,
        a_use_is_noted_once_a_minute,
        rule_61_a_replaced_session_is_dead,
        rule_61_another_person_ends_what_the_replaced_session_held,
        rule_72_a_session_that_ended_is_gone,
        rule_38_an_offline_grant_outlives_the_session,
        rule_38_an_offline_grant_whose_code_waits_ends_with_the_session,
        rule_38_an_offline_grant_whose_code_waits_follows_a_new_sign_in,
        rule_38_a_code_of_an_idle_session_is_refused,
        rule_38_a_grant_ends_with_an_idle_session,
        rule_38_a_sign_in_revives_nothing,
        a_rotation_is_a_use_of_the_session,
        an_interaction_ends,
        rule_22_a_session_has_a_hundred_interactions,
    }
    grants {
        a_live_grant_comes_with_the_user_of_now,
        a_revoked_grant_is_dead,
        a_code_of_a_revoked_grant_is_refused,
        a_grant_ends_at_its_end,
        consents_add_up,
        rule_88_the_oldest_of_too_many_grants_ends,
        rule_88_a_session_ends_its_own_grants_first,
        rule_88_grants_count_while_they_live_where_they_are,
        rule_88_what_made_room_leaves_nothing_behind,
        a_grant_does_not_make_room_for_itself,
    }
    codes {
        a_code_is_redeemed,
        rule_26_a_replayed_code_revokes_the_grant,
        rule_26_a_code_is_redeemed_once_by_64_at_once,
        rule_27_each_mismatch_alone_is_fatal,
        rule_45_a_code_is_bound_to_its_key,
        rule_12_a_verifier_without_a_challenge_is_a_mismatch,
        rule_27_expiry_alone_is_fatal,
        a_code_is_good_until_its_expiry,
        rule_28_the_wrong_client_does_not_burn_a_code,
        rule_27_a_code_dies_with_its_session,
        rule_17_an_interaction_gives_one_code,
        rule_20_issuing_checks_everything_again,
        rule_54_no_kind_passes_for_another,
    }
    pushed_requests {
        rule_44_a_pushed_request_is_taken_once,
        rule_44_a_pushed_request_is_taken_once_by_64_at_once,
        rule_44_a_pushed_request_is_its_clients,
        rule_44_a_pushed_request_expires_and_is_swept,
        rule_44_a_pushed_request_ends_with_what_it_was_checked_against,
        rule_88_the_oldest_of_too_many_pushed_requests_makes_room,
    }
    device_codes {
        rule_43_a_device_waits_is_allowed_and_redeems,
        rule_43_a_device_code_is_redeemed_once_by_64_at_once,
        rule_43_a_device_is_answered_once,
        rule_43_a_device_that_asks_too_soon_slows_down,
        rule_43_a_user_code_is_of_one_device,
        rule_43_a_device_code_is_its_clients,
        rule_43_a_device_code_expires_and_is_swept,
        rule_43_allowing_checks_everything_again,
        rule_43_a_device_ends_with_its_client,
        rule_88_the_first_of_too_many_device_codes_makes_room,
    }
    refresh_tokens {
        a_token_is_rotated,
        rule_36_a_token_is_bound_to_its_client,
        rule_36_a_reused_ancestor_revokes_the_family,
        rule_37_two_rotations_at_once_revoke_the_family,
        rule_45_a_token_is_bound_to_its_key,
        a_token_may_stay_the_one_that_it_is,
        rule_37_64_rotations_at_once_revoke_the_family,
        rule_38_a_token_dies_idle,
        rule_38_a_family_dies_at_its_absolute_end,
        a_first_token_is_cut_to_its_grant,
        rule_88_a_loop_of_refreshes_is_bounded,
    }
    spent_jtis {
        rule_32_a_jti_counts_once,
        rule_32_a_jti_counts_once_for_64_at_once,
        rule_88_a_client_has_room_for_so_many_jtis,
        a_removed_client_takes_its_jtis_with_it,
    }
    logout_notices {
        rule_73_every_end_is_told,
        rule_74_a_session_that_nobody_ended_is_not_told,
        rule_74_only_participants_are_told,
        rule_74_a_session_is_told_by_the_names_that_a_client_knows,
        rule_74_a_session_is_told_by_its_new_name_to_who_keeps_a_token,
        rule_74_who_only_has_a_code_is_not_told,
        rule_73_the_end_of_everything_is_told_without_sid,
        rule_73_a_claim_comes_back_until_it_is_ended,
        rule_73_clients_are_told_in_turn,
        rule_88_what_waits_for_a_client_is_bounded,
        rule_74_a_client_is_asked_as_it_is_now,
    }
    throttle {
        rule_68_the_wait_grows_and_ends,
        rule_68_an_attempt_is_counted_in_all_buckets_or_in_none,
        rule_68_what_turned_out_well_is_taken_back,
        rule_68_a_thousand_at_once_are_counted_exactly,
        rule_68_a_flood_pushes_out_no_full_bucket,
        rule_68_what_was_taken_back_keeps_no_bucket,
        rule_68_forgiven_buckets_are_swept,
    }
    expiry {
        a_sweep_removes_what_has_expired,
        a_sweep_goes_on_behind_what_stays,
        a_used_session_is_not_swept,
        a_spent_code_stays_until_its_grant_ends,
    }
}

/// Every operation of the port says in a line `SQL:` which statement or short transaction implements it in PostgreSQL, so
/// that a database fits later without changing a caller.
#[test]
fn every_operation_of_the_port_names_its_sql() {
    let source = include_str!("../../src/store.rs");
    let port = source.split_once("pub trait Store").unwrap().1;
    let mut documentation = String::new();
    let mut operations = 0;
    for line in port.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            documentation.push_str(text);
            documentation.push('\n');
        } else if let Some(signature) = line.strip_prefix("async fn ") {
            let sql = documentation
                .lines()
                .find_map(|line| line.trim().strip_prefix("SQL: "));
            assert!(
                sql.is_some_and(|sql| sql.contains('`')),
                "no `SQL:` line: {signature}"
            );
            operations += 1;
            documentation.clear();
        }
    }
    assert!(operations > 30, "found only {operations} operations");
}

/// Ten thousand durable writes take a slow disk minutes; the operation is the same for every engine.
#[tokio::test]
async fn rule_54_a_client_has_ten_thousand_opaque_access_tokens() {
    let bench = bench::Bench::memory();
    access_tokens::rule_54_a_client_has_ten_thousand_opaque_access_tokens(&bench).await;
}
