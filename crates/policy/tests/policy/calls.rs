//! Which operations a call counts as (decisions.md 3).

use leadvault_domain::Operation as Op;
use leadvault_policy::{Call, operations_of};

#[test]
fn each_row_of_the_table() {
    let rows: &[(Call, &[Op])] = &[
        (Call::Look { fields: true }, &[Op::Read]),
        (Call::Look { fields: false }, &[Op::Display]),
        (Call::List, &[Op::Display]),
        (Call::SearchExact { fields: true }, &[Op::Read, Op::Search]),
        (Call::SearchExact { fields: false }, &[Op::Display, Op::Search]),
        (Call::SearchDeep, &[Op::Search, Op::Read]),
        (Call::Create, &[Op::Store, Op::Collect]),
        (Call::Import { update: false }, &[Op::Store, Op::Collect]),
        (Call::Import { update: true }, &[Op::Store, Op::Collect, Op::Modify]),
        (Call::Change, &[Op::Modify]),
        (Call::FileContent, &[Op::Read]),
        (Call::Export, &[Op::Export]),
        (Call::Push { leaves_region: false }, &[Op::Disclose]),
        (Call::Push { leaves_region: true }, &[Op::Disclose, Op::Transfer]),
        (Call::Erase, &[Op::Erase]),
        (Call::Share, &[Op::ShareInternal]),
        (Call::Flag, &[Op::Restrict]),
        (Call::Backup, &[Op::CopyBackup]),
        (Call::RegionMove, &[Op::Transfer, Op::CopyBackup, Op::Erase]),
        (Call::Merge, &[Op::Match, Op::Modify]),
        (Call::Programme, &[Op::Pseudonymise, Op::Anonymise, Op::Aggregate]),
        (Call::Account, &[]),
    ];
    for (call, operations) in rows {
        assert_eq!(operations_of(*call), *operations, "{call:?}");
    }
}
