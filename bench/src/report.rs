//! The table: one row a figure, with its goal where there is one; printed, and written as JSON.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::stopwatch::quantile;

/// What a figure must be to meet its goal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At least.
    AtLeast(f64),
    /// At most.
    AtMost(f64),
}

/// A figure.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
    goal: Option<Goal>,
    note: String,
}

/// Figures in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a figure: one value for each turn.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, values: Vec<f64>) -> &mut Self {
        eprintln!("  {name}: {} {unit}", number(quantile(&values, 0.5)));
        self.rows.push(Row {
            name: name.to_owned(),
            unit,
            values,
            goal: None,
            note: String::new(),
        });
        self
    }

    /// The goal of the figure added last.
    pub(crate) fn goal(&mut self, goal: Goal) -> &mut Self {
        if let Some(row) = self.rows.last_mut() {
            row.goal = Some(goal);
        }
        self
    }

    /// What must be known to read the figure added last.
    pub(crate) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        if let Some(row) = self.rows.last_mut() {
            row.note = note.into();
        }
        self
    }

    /// The table, as Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| figure | unit | median | min | max | turns | goal | met | note |\n\
             |---|---|---:|---:|---:|---:|---|---|---|\n",
        );
        for row in &self.rows {
            let (goal, met) = row.judged();
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {goal} | {met} | {} |\n",
                row.name,
                row.unit,
                number(row.median()),
                number(quantile(&row.values, 0.0)),
                number(quantile(&row.values, 1.0)),
                row.values.len(),
                row.note
            ));
        }
        text
    }

    /// Everything, as JSON.
    pub(crate) fn json(&self, run: &Value) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({ "run": run, "figures": rows })
    }

    /// Writes the JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path, run: &Value) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.json(run))?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }
}

impl Row {
    fn median(&self) -> f64 {
        quantile(&self.values, 0.5)
    }

    fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::AtLeast(least) => self.median() >= least,
            Goal::AtMost(most) => self.median() <= most,
        })
    }

    fn judged(&self) -> (String, &'static str) {
        let goal = match self.goal {
            None => String::new(),
            Some(Goal::AtLeast(least)) => format!("≥ {}", number(least)),
            Some(Goal::AtMost(most)) => format!("≤ {}", number(most)),
        };
        let met = match self.is_met() {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        };
        (goal, met)
    }

    fn json(&self) -> Value {
        let (goal, _) = self.judged();
        json!({
            "name": self.name, "unit": self.unit, "median": self.median(),
            "min": quantile(&self.values, 0.0), "max": quantile(&self.values, 1.0),
            "values": self.values, "goal": self.goal.map(|_| goal), "met": self.is_met(),
            "note": self.note,
        })
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_median_and_stands_in_table_and_json() {
        let mut report = Report::default();
        report.add("fast", "x", vec![1.0, 3.0, 2.0]).goal(Goal::AtLeast(2.0));
        report.add("slow", "ms", vec![20.0]).goal(Goal::AtMost(15.0)).note("why");
        let table = report.table();
        assert!(
            table.contains("| fast | x | 2.00 | 1.00 | 3.00 | 3 | ≥ 2.00 | yes |  |"),
            "{table}"
        );
        assert!(table.contains("| slow | ms | 20.0 | 20.0 | 20.0 | 1 | ≤ 15.0 | no | why |"));
        let json = report.json(&json!({}));
        assert_eq!(json["figures"][0]["met"], true);
        assert_eq!(json["figures"][1]["met"], false);
    }
}
