-- The largest system leaf of a tenant is looked up at every start (protocols.md 1.4): by index where a table grows
-- with the tenant's work, so that a start does not read all of it.
-- Lock: each index reads its table once, writes wait for that long. Back: drop them, starts get slower.
CREATE INDEX change_by_leaf ON change (tenant_no, leads_leaf);
CREATE INDEX exit_permit_by_leaf ON exit_permit (tenant_no, body_leaf);
CREATE INDEX operation_by_payload ON operation (tenant_no, payload_leaf) WHERE payload_leaf IS NOT NULL;
CREATE INDEX operation_by_result ON operation (tenant_no, result_leaf) WHERE result_leaf IS NOT NULL;
CREATE INDEX replay_by_leaf ON replay (tenant_no, answer_leaf) WHERE answer_leaf IS NOT NULL;
CREATE INDEX erase_by_receipt ON erase_request (tenant_no, receipt_leaf) WHERE receipt_leaf IS NOT NULL;
