//! The largest leaf of a tenant's system tree that any row names: what leaf numbers continue above at a start
//! (protocols.md 1.4). Each column by itself, so that its index answers.

use crate::data_store::DataStore;
use crate::engine::query;
use crate::error::{Result, StoreError};
use crate::scope::TenantScope;
use crate::statement::statements;

statements! {
    MAX_LEAF = "SELECT MAX(leaf) FROM (\
        SELECT MAX(meta_leaf) AS leaf FROM tenant WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(meta_leaf) FROM dataset WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(columns_leaf) FROM dataset WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(body_leaf) FROM instruction_version WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(body_leaf) FROM exit_permit WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(meta_leaf) FROM api_key WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(name_leaf) FROM principal WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(payload_leaf) FROM operation WHERE tenant_no = $1 AND payload_leaf IS NOT NULL \
        UNION ALL SELECT MAX(result_leaf) FROM operation WHERE tenant_no = $1 AND result_leaf IS NOT NULL \
        UNION ALL SELECT MAX(meta_leaf) FROM import_batch WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(cursor_leaf) FROM import_batch WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(leaf) FROM export WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(meta_leaf) FROM export WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(file_leaf) FROM export WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(leaf) FROM export_part WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(leaf) FROM file WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(end_leaf) - 1 FROM file_block WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(leads_leaf) FROM change WHERE tenant_no = $1 \
        UNION ALL SELECT MAX(answer_leaf) FROM replay WHERE tenant_no = $1 AND answer_leaf IS NOT NULL \
        UNION ALL SELECT MAX(receipt_leaf) FROM erase_request WHERE tenant_no = $1 AND receipt_leaf IS NOT NULL) AS leaves";
}

impl DataStore {
    /// The largest system leaf of the tenant; `None` if no row names one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_largest_system_leaf(&self, scope: TenantScope) -> Result<Option<u32>> {
        let mut reader = self.engine().reader(scope).await?;
        let largest = query(MAX_LEAF).bind(scope.no());
        let leaf: Option<i64> = largest.scalar(&mut reader.connection()).await?;
        let bad = StoreError::Inconsistent { table: "tenant", column: "leaf" };
        leaf.filter(|l| *l >= 0).map(|l| u32::try_from(l).map_err(|_| bad)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of the schema that hold a leaf of the system tree, by table.
    fn columns(schema: &str) -> Vec<(String, String)> {
        let (mut table, mut found) = (String::new(), Vec::new());
        for line in schema.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["CREATE" | "ALTER", "TABLE", name, ..] = words.as_slice() {
                table = (*name).to_owned();
            }
            let column = match words.as_slice() {
                ["ALTER", "TABLE", _, "ADD", "COLUMN", name, ..] => *name,
                [name, kind, ..] if kind.starts_with("INTEGER") => *name,
                _ => continue,
            };
            let other = matches!(
                (table.as_str(), column),
                ("lead" | "erase_request" | "file_lead", "leaf")
            ) || matches!(column, "first_leaf" | "end_leaf");
            if column.ends_with("leaf") && !other {
                found.push((table.clone(), column.to_owned()));
            }
        }
        found
    }

    fn missing(schema: &str) -> Vec<(String, String)> {
        let asked = |(table, column): &(String, String)| {
            ["", " AS leaf"].iter().any(|name| {
                MAX_LEAF.sqlite.contains(&format!("MAX({column}){name} FROM {table} WHERE"))
            })
        };
        columns(schema).into_iter().filter(|column| !asked(column)).collect()
    }

    #[test]
    fn every_system_leaf_of_the_schema_is_looked_at() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite/data");
        let mut schema = String::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            schema += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
        }
        assert!(columns(&schema).len() >= 18, "{:?}", columns(&schema));
        assert_eq!(missing(&schema), []);
        // The control: a table that nobody thought of.
        schema += "CREATE TABLE later (\n    body_leaf INTEGER,\n";
        assert_eq!(missing(&schema).len(), 1);
    }
}
