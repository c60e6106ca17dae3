//! SPDX licence expressions: does a package offer terms that are all on the list?
//!
//! `or = and {"OR" and}`, `and = atom {"AND" atom}`, `atom = id ["WITH" id] | "(" or ")"`. The old
//! `A/B` means `A OR B`. An expression that is none of this permits nothing.

/// Whether `expression` can be satisfied with licences of `allowed` alone.
pub(super) fn is_permitted(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, allowed };
    parser.any() == Some(true) && parser.words.is_empty()
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Option<bool> {
        let mut holds = self.all()?;
        while self.take("OR") {
            holds |= self.all()?;
        }
        Some(holds)
    }

    fn all(&mut self) -> Option<bool> {
        let mut holds = self.one()?;
        while self.take("AND") {
            holds &= self.one()?;
        }
        Some(holds)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let holds = self.any()?;
            return self.take(")").then_some(holds);
        }
        let mut name = self.next()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.next();
        }
        found
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::is_permitted;

    const ALLOWED: &[&str] = &["MIT", "Apache-2.0", "Unicode-3.0", "GPL-2.0 WITH Classpath"];

    #[test]
    fn offers_that_can_be_met_are_permitted() {
        for expression in [
            "MIT",
            "MIT OR Proprietary",
            "GPL-3.0/Apache-2.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "GPL-3.0 AND X OR MIT",
            "GPL-2.0 WITH Classpath",
        ] {
            assert!(is_permitted(expression, ALLOWED), "{expression}");
        }
    }

    #[test]
    fn offers_that_cannot_be_met_and_nonsense_are_not() {
        for expression in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MIT AND (GPL-3.0 OR X)",
            "GPL-2.0",
            "Apache-2.0 WITH Surprise",
            "",
            "MIT OR",
            "(MIT",
            "MIT MIT",
        ] {
            assert!(!is_permitted(expression, ALLOWED), "{expression}");
        }
    }
}
