//! docs/REQUIREMENTS.md has every row of the requirements once, and its state agrees with its cells.
//!
//! Part of the check of claims, which finds out whether the tests named exist. Columns: row, asks, state,
//! test, not built yet.

use std::collections::BTreeMap;

use crate::repo::Repo;

const DOCUMENT: &str = "docs/REQUIREMENTS.md";
/// The numbers of the requirements; a gap is a number that was never given.
const NUMBERS: [(u16, u16); 14] = [
    (1, 8),
    (10, 22),
    (25, 26),
    (30, 43),
    (44, 53),
    (60, 71),
    (80, 89),
    (100, 106),
    (108, 118),
    (120, 120),
    (130, 136),
    (140, 142),
    (150, 153),
    (160, 164),
];

/// What does not hold, and how many rows are in which state.
pub(super) fn judge(repo: &Repo) -> (Vec<String>, Vec<String>) {
    let Some(text) = repo.text(DOCUMENT) else { return (Vec::new(), Vec::new()) };
    let mut faults = Vec::new();
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let Some(row) = Row::parse(line) else { continue };
        *seen.entry(row.number).or_default() += 1;
        *states.entry(row.state).or_default() += 1;
        if let Some(why) = row.fault() {
            faults.push(format!("{DOCUMENT}:{}: R-{:03}: {why}", at + 1, row.number));
        }
    }
    for number in numbers() {
        match seen.remove(&number) {
            Some(1) => {}
            Some(_) => faults.push(format!("{DOCUMENT}: R-{number:03} is there twice")),
            None => faults.push(format!("{DOCUMENT}: R-{number:03} is missing")),
        }
    }
    let unknown = seen.keys().map(|number| format!("{DOCUMENT}: R-{number:03} is no requirement"));
    faults.extend(unknown);
    let notes = states.iter().map(|(state, n)| format!("{n} requirements {state}")).collect();
    (faults, notes)
}

fn numbers() -> impl Iterator<Item = u16> {
    NUMBERS.into_iter().flat_map(|(first, last)| first..=last)
}

struct Row<'a> {
    number: u16,
    state: &'a str,
    test: &'a str,
    missing: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let rest = line.strip_prefix("| R-")?;
        let number = rest.get(..3)?.parse().ok()?;
        let mut cells = rest.split('|').skip(2).map(str::trim);
        let (state, test) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
        Some(Self { number, state, test, missing: cells.next().unwrap_or("") })
    }

    fn fault(&self) -> Option<&'static str> {
        let (tested, missing) = (self.test.contains('`'), !self.missing.is_empty());
        match (self.state, tested, missing) {
            ("built", true, false) | ("part", true, true) | ("later", false, true) => None,
            ("built", ..) => Some("built = tests, and nothing that is missing"),
            ("part", ..) => Some("part = tests, and what is missing"),
            ("later", ..) => Some("later = no test, and what is missing"),
            _ => Some("the state is built, part or later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(row: impl Fn(u16) -> String) -> String {
        numbers().map(row).collect()
    }

    fn good(number: u16) -> String {
        let cells = ["built | `a_b` | ", "part | `a_b` | more", "later | | all"];
        format!("| R-{number:03} P | asks | {} |\n", cells[usize::from(number % 3)])
    }

    fn faults(text: &str) -> Vec<String> {
        judge(&Repo::of(&[(DOCUMENT, text)])).0
    }

    #[test]
    fn every_requirement_once_and_in_order_with_its_state_passes() {
        assert_eq!(faults(&document(good)), [""; 0]);
        assert_eq!(numbers().count(), 107);
    }

    #[test]
    fn a_missing_a_repeated_and_an_unknown_requirement_are_found() {
        let whole = document(good);
        assert_eq!(faults(&whole.replace(&good(12), "")).len(), 1);
        assert_eq!(faults(&format!("{whole}{}", good(12))).len(), 1);
        assert_eq!(faults(&format!("{whole}{}", good(9))).len(), 1);
    }

    #[test]
    fn a_state_that_its_cells_do_not_bear_out_is_found() {
        for row in [
            "| R-012 P | asks | built | | |\n",
            "| R-012 P | asks | built | `a_b` | more |\n",
            "| R-012 P | asks | part | `a_b` | |\n",
            "| R-012 P | asks | later | `a_b` | all |\n",
            "| R-012 P | asks | later | | |\n",
            "| R-012 P | asks | done | `a_b` | |\n",
            "| R-012 P | asks |\n",
        ] {
            assert_eq!(faults(&document(good).replace(&good(12), row)).len(), 1, "{row}");
        }
    }
}
