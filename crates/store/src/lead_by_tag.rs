//! Queries for leads by tag, in the tag tables and where tags are staged. Erased leads are in none of them.

use leadvault_domain::{DatasetNo, Labels, LeadId, LeafAddress, TagKind};

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::query::json_array;
use crate::engine::{Reader, Row, query};
use crate::error::{Result, StoreError};
use crate::lead::{LeadRow, TABLE, lead_columns};
use crate::lead_find::{PAGE_ROWS_MAX, behind, count, list};
use crate::scope::TenantScope;
use crate::stage::{Stage, StageCache};
use crate::statement::statements;

/// A search by tag: first values, further ones, and rows that have one staged ($8). Pairs of dataset and tag
/// come as a JSON array; the joins are written in the order in which they must run.
macro_rules! by_tag {
    ($first:literal) => {
        concat!(
            "SELECT ",
            lead_columns!(),
            " FROM (SELECT e.row_id FROM json_each($2) j CROSS JOIN ",
            $first,
            " e WHERE e.tenant_no = $1 AND e.dataset_no = j.value ->> 0 AND e.tag = j.value ->> 1 \
             UNION SELECT t.row_id FROM json_each($2) j CROSS JOIN lead_tag t \
             WHERE t.tenant_no = $1 AND t.dataset_no = j.value ->> 0 AND t.kind = $3 \
             AND t.tag = j.value ->> 1 UNION SELECT value FROM json_each($8)) h CROSS JOIN lead l \
             WHERE l.row_id = h.row_id AND +l.tenant_no = $1 AND l.tombstone = 0 \
             AND (+l.dataset_no, +l.tree, +l.leaf) > ($4, $5, $6) \
             ORDER BY +l.dataset_no, +l.tree, +l.leaf LIMIT $7"
        )
    };
}

/// The same on PostgreSQL. `LATERAL … OFFSET 0` has each pair look its rows up by the index, whatever the planner
/// believes of the size of a table: first values are columns of the lead, and nothing is staged.
macro_rules! by_column {
    ($first:expr) => {
        concat!(
            "SELECT ",
            lead_columns!(),
            " FROM (",
            $first,
            "SELECT t.row_id FROM json_array_elements($2::json) j (value) CROSS JOIN LATERAL \
             (SELECT w.row_id FROM lead_tag w WHERE w.tenant_no = $1 \
             AND w.dataset_no = (j.value ->> 0)::int AND w.kind = $3 \
             AND w.tag = (j.value ->> 1)::bigint OFFSET 0) t) h CROSS JOIN LATERAL \
             (SELECT * FROM lead w WHERE w.tenant_no = $1 AND w.row_id = h.row_id OFFSET 0) l \
             WHERE l.tombstone = 0 AND l.row_id > lead_row($4, $5, $6) ORDER BY l.row_id LIMIT $7"
        )
    };
    (of $column:literal) => {
        by_column!(concat!(
            "SELECT e.row_id FROM json_array_elements($2::json) j (value) CROSS JOIN LATERAL \
             (SELECT w.row_id FROM lead w WHERE w.tenant_no = $1 \
             AND w.dataset_no = (j.value ->> 0)::int AND w.",
            $column,
            " = (j.value ->> 1)::bigint OFFSET 0) e UNION "
        ))
    };
}

/// Who has a tag of the kind `$4`: as a first value, which the head asks for, in the side table, or staged
/// (`$6`, pairs of tag and row).
macro_rules! probe_tags {
    ($head:expr) => {
        concat!(
            $head,
            "SELECT j.value AS tag, l.lead FROM json_each($3) j CROSS JOIN lead_tag t CROSS JOIN lead l \
             WHERE t.tenant_no = $1 AND t.dataset_no = $2 AND t.kind = $4 AND t.tag = j.value \
             AND l.row_id = t.row_id AND l.labels & $5 = 0 UNION ALL \
             SELECT j.value ->> 0, l.lead FROM json_each($6) j CROSS JOIN lead l \
             WHERE l.row_id = j.value ->> 1 AND +l.tenant_no = $1 AND l.labels & $5 = 0"
        )
    };
}

/// The same on PostgreSQL.
macro_rules! probe_columns {
    ($head:expr) => {
        concat!(
            $head,
            "SELECT j.value AS tag, l.lead FROM unnest($3::bigint[]) j (value) CROSS JOIN LATERAL \
             (SELECT w.row_id FROM lead_tag w WHERE w.tenant_no = $1 AND w.dataset_no = $2 \
             AND w.kind = $4 AND w.tag = j.value OFFSET 0) t CROSS JOIN LATERAL (SELECT w.lead \
             FROM lead w WHERE w.tenant_no = $1 AND w.row_id = t.row_id AND w.labels & $5 = 0 \
             OFFSET 0) l"
        )
    };
    (of $column:literal) => {
        probe_columns!(concat!(
            "SELECT e.tag, e.lead FROM unnest($3::bigint[]) j (value) CROSS JOIN LATERAL \
             (SELECT w.",
            $column,
            " AS tag, w.lead FROM lead w WHERE w.tenant_no = $1 AND w.dataset_no = $2 AND w.",
            $column,
            " = j.value AND w.labels & $5 = 0 OFFSET 0) e UNION ALL "
        ))
    };
}

statements! {
    BY_EMAIL = by_tag!("lead_email"), postgres: by_column!(of "email_tag");
    BY_PHONE = by_tag!("lead_phone"), postgres: by_column!(of "phone_tag");
    BY_DOMAIN = by_tag!("lead_domain"), postgres: by_column!(of "domain_tag");
    BY_OTHER = concat!("SELECT ", lead_columns!(), " FROM (SELECT t.row_id FROM json_each($2) j \
        CROSS JOIN lead_tag t WHERE t.tenant_no = $1 AND t.dataset_no = j.value ->> 0 \
        AND t.kind = $3 AND t.tag = j.value ->> 1 UNION SELECT value FROM json_each($8)) h \
        CROSS JOIN lead l \
        WHERE l.row_id = h.row_id AND +l.tenant_no = $1 AND l.tombstone = 0 \
        AND (+l.dataset_no, +l.tree, +l.leaf) > ($4, $5, $6) \
        ORDER BY +l.dataset_no, +l.tree, +l.leaf LIMIT $7"),
        postgres: by_column!("");
    LIST_EMAIL_TAGS = "SELECT tag FROM lead_email WHERE tenant_no = $1 AND dataset_no = $2 \
                       AND (tag, dup_no) > ($3, $4) ORDER BY tag, dup_no LIMIT $5",
        postgres: "SELECT email_tag FROM lead WHERE tenant_no = $1 AND dataset_no = $2 \
                       AND email_tag IS NOT NULL AND (email_tag, dup_no) > ($3, $4) \
                       ORDER BY email_tag, dup_no LIMIT $5";
    PROBE_EMAILS = probe_tags!("SELECT j.value AS tag, l.lead FROM json_each($3) j \
        CROSS JOIN lead_email e CROSS JOIN lead l WHERE e.tenant_no = $1 AND e.dataset_no = $2 \
        AND e.tag = j.value AND l.row_id = e.row_id AND l.labels & $5 = 0 UNION ALL "),
        postgres: probe_columns!(of "email_tag");
    PROBE_PHONES = probe_tags!("SELECT j.value AS tag, l.lead FROM json_each($3) j \
        CROSS JOIN lead_phone e CROSS JOIN lead l WHERE e.tenant_no = $1 AND e.dataset_no = $2 \
        AND e.tag = j.value AND l.row_id = e.row_id AND l.labels & $5 = 0 UNION ALL "),
        postgres: probe_columns!(of "phone_tag");
    PROBE_OTHERS = probe_tags!(""), postgres: probe_columns!("");
    COUNT_OLD_TAGS = "SELECT COUNT(*) FROM lead WHERE tenant_no = $1 AND dataset_no = $2 \
                      AND tombstone = 0 AND index_epoch < $3";
}

/// Tags of one search or probe.
pub const TAGS_MAX: usize = 65_536;

/// A tag, and the dataset it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetTag {
    /// The dataset.
    pub dataset: DatasetNo,
    /// The tag.
    pub tag: i64,
}

impl DataStore {
    /// Live leads that have one of the tags, in leaf order behind `after`.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] above [`TAGS_MAX`] tags.
    pub async fn list_leads_by_tag(
        &self,
        scope: TenantScope,
        kind: TagKind,
        tags: &[DatasetTag],
        after: Option<LeafAddress>,
        limit: u32,
    ) -> Result<Vec<LeadRow>> {
        if tags.len() > TAGS_MAX {
            return Err(StoreError::OutOfRange);
        }
        let statement = match kind {
            TagKind::EMAIL => BY_EMAIL,
            TagKind::PHONE => BY_PHONE,
            TagKind::DOMAIN => BY_DOMAIN,
            _ => BY_OTHER,
        };
        let (dataset, tree, leaf) = behind(after);
        let (mut reader, staged) = self
            .look_up(scope, |stage| {
                let rows = tags.iter().flat_map(|t| stage.find_kind(kind, t.dataset, t.tag));
                rows.map(|row| row.row_id).collect::<Vec<_>>()
            })
            .await?;
        let question = query(statement)
            .bind(scope.no())
            .bind(json_pairs(tags))
            .bind(i64::from(kind.0))
            .bind(dataset)
            .bind(tree)
            .bind(leaf)
            .bind(i64::from(limit.min(PAGE_ROWS_MAX)))
            .bind(staged);
        list(&mut reader.connection(), scope, question).await
    }

    /// The number of live leads whose tags are older than `index_epoch`: what a re-tag has left to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_old_tags(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        index_epoch: u32,
    ) -> Result<u64> {
        let mut reader = self.engine().reader(scope).await?;
        let old = query(COUNT_OLD_TAGS)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(i64::from(index_epoch));
        count(old.scalar(&mut reader.connection()).await?)
    }

    /// First-e-mail tags of a dataset in order, at most `limit`, behind `(tag, dup_no)`: what an import's
    /// filter is made of. With duplicates a tag comes once for each; `dup_no` of a page's last tag is
    /// `u32::MAX`, which leaves the rest of that tag out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_email_tags(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<i64>> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut reader, staged) =
            self.look_up(scope, |stage| stage.emails(dataset, after, most)).await?;
        let before_all = (i64::MIN, -1_i64);
        let (tag, dup_no) = after.map_or(before_all, |tag| (tag, i64::from(u32::MAX)));
        let rows = query(LIST_EMAIL_TAGS)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(tag)
            .bind(dup_no)
            .bind(i64::from(limit))
            .fetch_all(&mut reader.connection())
            .await?;
        let mut tags: Vec<i64> = rows.iter().map(Row::first).collect::<Result<_>>()?;
        // Both are the lowest of their place, so the lowest of both are the lowest of all.
        tags.extend(staged);
        tags.sort_unstable();
        tags.truncate(most);
        Ok(tags)
    }

    /// Who has these e-mails, phones or other values, as first or further one: tag and lead, in no order.
    /// Leads with one of the labels `without` are passed over.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] above [`TAGS_MAX`] tags.
    pub async fn probe_tags(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        kind: TagKind,
        tags: &[i64],
        without: Labels,
    ) -> Result<Vec<(i64, LeadId)>> {
        if tags.len() > TAGS_MAX {
            return Err(StoreError::OutOfRange);
        }
        let statement = match kind {
            TagKind::EMAIL => PROBE_EMAILS,
            TagKind::PHONE => PROBE_PHONES,
            _ => PROBE_OTHERS,
        };
        let (mut reader, staged) = self
            .look_up(scope, |stage| {
                let rows = tags.iter().flat_map(|tag| stage.find_kind(kind, dataset, *tag));
                rows.map(|row| (row.tag, row.row_id)).collect::<Vec<_>>()
            })
            .await?;
        let pairs = staged.iter().map(|(tag, row)| json_array([*tag, *row]));
        let rows = query(statement)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(tags.to_vec())
            .bind(i64::from(kind.0))
            .bind(without.bits())
            .bind(format!("[{}]", pairs.collect::<Vec<_>>().join(",")))
            .fetch_all(&mut reader.connection())
            .await?;
        let decode = |row: &Row| {
            let cells = Cells::new(TABLE, row);
            Ok((cells.value("tag")?, LeadId::from_bytes(cells.bytes("lead")?)))
        };
        rows.iter().map(decode).collect()
    }

    /// A reading connection, and what a look at the stage of the tenant gives. Where anything is staged both
    /// are of one snapshot: a tag that moves on meanwhile is seen in one of the two places.
    async fn look_up<R: Default + Send>(
        &self,
        scope: TenantScope,
        look: impl Fn(&Stage) -> R + Send + Sync,
    ) -> Result<(Reader, R)> {
        let mut reader = self.engine().reader(scope).await?;
        if StageCache::is_empty(&mut reader.connection(), scope.0).await? {
            return Ok((reader, R::default()));
        }
        drop(reader);
        loop {
            let mut snapshot = self.engine().snapshot(scope).await?;
            let connection = &mut snapshot.connection();
            if let Some(found) = self.stage().look(connection, scope.0, &look).await? {
                return Ok((snapshot, found));
            }
            // Memory is newer than this snapshot: the next one is newer still.
            snapshot.end().await?;
        }
    }
}

fn json_pairs(tags: &[DatasetTag]) -> String {
    let mut text = String::from("[");
    for (i, pair) in tags.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&json_array([i64::from(pair.dataset.0), pair.tag]));
    }
    text.push(']');
    text
}
