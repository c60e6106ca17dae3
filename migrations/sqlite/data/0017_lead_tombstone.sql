-- Leads whose erasure is under way, so that leads are counted in an index and not in their rows: all of them, less
-- these.
-- Lock: the writer's, for one pass over the table. Back: drop it, counting reads rows again.
CREATE INDEX lead_tombstone ON lead (tenant_no, dataset_no) WHERE tombstone = 1;
