//! Natural batching, seen from outside: one signature a batch of entries.

use std::collections::BTreeSet;

use leadvault_ledger::LedgerReceipt;
use leadvault_tests::kit::Vault;

/// Callers at once.
const CALLERS: usize = 64;
/// Reads of each.
const READS: usize = 4;

/// Reads a lead from many callers; entries and the batches their receipts name.
fn read(vault: &Vault, callers: usize, reads: usize) -> (usize, usize) {
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let path = format!("/v1/leads/{lead}?fields=email");
    let receipts: Vec<LedgerReceipt> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|_| {
                let (caller, path) = (vault.acting(&tenant), path.clone());
                scope.spawn(move || {
                    let answers = (0..reads).map(|_| caller.get(&path).expect(200));
                    answers
                        .map(|answer| answer.receipt.expect("a receipt"))
                        .map(|text| LedgerReceipt::parse(&text).expect("a receipt"))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a caller")).collect()
    });
    let entries: BTreeSet<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    let batches: BTreeSet<_> = receipts.iter().map(|receipt| receipt.batch_root).collect();
    assert_eq!(entries.len(), callers * reads, "every read has an entry of its own");
    (entries.len(), batches.len())
}

#[test]
fn concurrent_reads_make_fewer_commits_than_entries() {
    let vault = Vault::start();
    // The control: one caller alone waits for each commit, so there are as many commits as entries.
    let (entries, commits) = read(&vault, 1, CALLERS);
    assert_eq!(commits, entries, "one caller");
    let (entries, commits) = read(&vault, CALLERS, READS);
    eprintln!("{CALLERS} callers: {entries} entries in {commits} commits");
    assert!(commits < entries, "{entries} entries in {commits} commits");
}
