//! What a store must do, whatever the engine. Each case takes the stores of a fresh cell; an engine is one
//! line at the end of this file.

macro_rules! contract {
    ($engine:ident, $open:path; $($file:ident { $($case:ident)+ })+) => {
        mod $engine {
            $(mod $file {
                $(#[tokio::test]
                async fn $case() {
                    let cell = $open().await;
                    crate::$file::$case(&cell).await;
                })+
            })+
        }
    };
}

macro_rules! every_case {
    ($engine:ident, $open:path) => {
        contract! { $engine, $open;
            control {
                a_tenant_is_found_by_number_and_by_id
                numbers_are_never_given_out_again
                a_state_change_bumps_the_generation
                an_epoch_only_rises_and_bumps_dir_gen_only_for_structure
                generations_are_lifted_after_a_restore
                registers_read_back_what_was_written
                a_shred_leaves_no_content_and_no_other_tenant_loses_any
            }
            journal {
                entries_of_many_logs_come_back_in_order
                a_log_begins_with_its_tenant_and_not_before
                a_stale_operation_is_taken_out_alone
                a_bump_makes_later_operations_of_its_batch_stale
                a_conflict_appends_the_other_entry_and_changes_nothing
                a_later_conflict_undoes_the_parts_before_it
                a_refused_operation_does_not_fail_the_others
                an_empty_batch_and_a_probe_leave_nothing_behind
                pruning_never_takes_the_last_chunk
                bundles_are_appended_only_at_the_end
                the_operators_log_needs_no_tenant
                the_builders_tree_only_grows
            }
            lead {
                a_lead_reads_back_with_every_compartment
                a_second_lead_with_the_same_email_is_refused
                further_emails_and_probes_count_as_well
                duplicates_are_allowed_where_they_are_numbered
                a_change_needs_the_version_it_was_made_from
                changed_tags_are_found_and_old_ones_are_not
                compartments_come_and_go
                labels_are_set_and_cleared
                a_tombstone_hides_everything_and_frees_the_email
                a_range_is_removed_in_steps
                pages_go_by_leaf_and_survive_an_erasure_between_them
                another_tenants_scope_finds_nothing
            }
            file {
                a_file_is_made_for_live_leads_of_its_dataset_and_within_limits
                parts_come_in_order_and_one_upload_is_ahead
                an_upload_nobody_goes_on_with_is_found
                complete_files_are_listed_page_by_page
                a_file_goes_with_the_last_of_its_leads_or_with_any
                a_range_of_leads_gives_up_its_files_in_steps
                calls_at_once_go_one_after_the_other
                what_is_left_of_a_file_goes_once
                leaves_of_files_are_known_by_dataset
            }
            creation {
                a_batch_of_new_leads_is_as_if_each_came_alone
                a_used_key_in_a_batch_of_new_leads_is_told_as_alone
                new_leads_of_many_tenants_go_together_and_stale_ones_stay_out
            }
            slice {
                a_slice_is_stored_whole_and_found_by_every_tag
                rows_that_lose_are_named_with_whom_they_met
                a_slice_moves_its_import_or_stores_nothing
                a_slice_above_its_bound_is_refused
            }
            export {
                what_was_stored_when_an_export_began_is_told_from_what_came_later
                a_part_that_was_spoilt_is_rendered_under_another_leaf
                a_file_is_ready_only_while_all_parts_it_was_made_of_hold
                a_page_ends_by_rows_or_by_bytes_and_a_change_is_seen_in_the_versions
            }
            work {
                an_operation_is_claimed_by_one_node_until_its_lease_ends
                due_operations_take_turns_between_tenants
                one_import_of_a_dataset_has_the_lease
                an_import_counts_and_lists_its_failures
                a_used_idempotency_key_tells_what_it_was_used_for
                an_erasure_keeps_its_reference_only_until_it_is_logged
                suppressed_values_expire
                notices_are_seen_once
                the_largest_system_leaf_is_that_of_any_row
            }
            keys {
                a_tenant_is_born_once
                the_decision_is_won_once
                a_missing_staged_page_undoes_the_decision
                leaves_are_taken_in_aligned_blocks_until_the_tree_is_used_up
                hygiene_keeps_what_the_head_needs_and_does_nothing_under_another_head
                nodes_confirm_epochs_that_never_go_down
                a_shred_destroys_wraps_and_then_rows
                a_restore_replaces_everything
                secrets_and_log_heads_read_back
            }
        }
    };
}

every_case!(sqlite, crate::kit::open_sqlite);
// What SQLite has and PostgreSQL does not need.
contract! { sqlite_only, crate::kit::open_sqlite;
    stage {
        tags_are_found_at_every_step_of_their_way
        a_slice_meets_what_is_staged_and_what_its_own_transaction_staged
        a_transaction_that_is_rolled_back_stages_nothing
        what_changes_or_goes_leaves_the_stage
        a_range_goes_with_what_is_staged_of_it
        leads_behind_a_range_that_is_gone_are_found_like_any
        a_shredded_tenant_keeps_nothing_staged
    }
}
every_case!(postgres, crate::kit::open_postgres);
