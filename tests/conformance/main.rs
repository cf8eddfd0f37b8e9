//! What an engine is, as tests: the same cases run on every engine.
//!
//! `cases` holds the cases, one file for each subject; `embedded` what only the embedded engine promises; `kafka` how
//! the cases reach a cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod cases;
mod crash;
mod embedded;
mod fixture;
mod kafka;
mod model;

/// Makes one test of each case named, on a fixture made by `start`; it may have none here.
macro_rules! conformance {
    ($engine:ident, $start:path, { $($subject:ident: [$($case:ident),* $(,)?]),* $(,)? }) => {
        mod $engine {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(fixture) = $start().await else { return };
                    crate::cases::$subject::$case(&fixture).await;
                })*
            })*
        }
    };
}

/// Runs every case on an engine.
macro_rules! conformance_on {
    ($engine:ident, $start:path) => {
        conformance!($engine, $start, {
            topics: [
                topics_are_listed_as_they_were_made,
                making_a_topic_again_changes_nothing,
                a_topic_that_differs_is_refused,
                a_bad_name_is_refused,
            ],
            append_read: [
                records_come_back_whole_and_in_order,
                a_key_goes_to_the_partition_that_kafka_chooses,
                a_read_brings_about_as_much_as_asked,
                reading_at_the_end_brings_nothing,
                unknown_partitions_are_named,
                a_line_of_ten_mebibytes_passes,
                a_record_past_the_bound_is_refused_with_its_whole_batch,
                an_append_is_all_or_nothing,
                waiting_ends_with_the_append,
                concurrent_appends_keep_the_order_of_each,
                records_survive_a_restart,
            ],
            groups: [
                one_member_reads_everything,
                two_members_share_the_partitions,
                a_dropped_member_is_replaced,
                reading_restarts_at_the_committed_offsets,
                partitions_of_all_topics_go_together,
                topics_of_unequal_size_are_refused,
                two_groups_read_on_their_own,
                a_paused_partition_rests,
                a_poll_for_no_bytes_brings_the_assignment_alone,
                a_waiting_poll_wakes_with_the_append,
            ],
            commits: [
                outputs_state_and_offsets_appear_together,
                a_refused_commit_leaves_nothing,
                commits_survive_a_restart,
                offsets_of_a_foreign_topic_are_refused,
            ],
            fencing: [
                a_commit_on_a_lost_partition_writes_nothing,
                a_commit_of_state_on_a_lost_partition_writes_nothing,
                a_partition_that_another_had_meanwhile_is_fenced,
                a_new_owner_starts_behind_the_last_commit_of_the_old,
            ],
            compaction: [
                the_latest_value_of_a_key_stays,
                superseded_records_are_gone,
                a_tombstone_removes_the_key_and_goes_in_time,
                state_is_scanned_in_pages_and_by_partition,
                a_record_without_a_key_is_refused,
            ],
            retention: [
                old_records_go_by_time,
                large_partitions_are_cut_by_size,
                a_reader_behind_goes_on_at_the_earliest,
            ],
            times: [
                an_offset_is_found_by_time,
                out_of_order_times_find_the_first,
            ],
            lag: [
                lag_counts_what_is_not_done,
                a_group_that_never_committed_a_partition_lags,
            ],
        });
    };
}

conformance_on!(on_embedded, crate::fixture::some_embedded);
conformance_on!(on_kafka, crate::kafka::kafka);
