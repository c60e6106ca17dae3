//! `data.filter` of an instruction: an expression over labels readable before decryption.
//!
//! ```text
//! expr = term {("and"|"or") term}     `and` binds tighter
//! term = ["not"] (label | label ("="|"!=") value | label "in" "[" value {"," value} "]" | "(" expr ")")
//! ```
//! Labels: `dataset batch regime category restricted objected hold` (decisions.md 1.7); values in double
//! quotes. A label with several values (`regime`, `category`) equals a value if it has it. A label alone
//! is true if it is set, or has any value. `restricted`, `objected`, `hold` take `"true"` and `"false"`.
//!
//! Evaluation has three outcomes: what is not known yet (the rows of a page) is neither true nor false.

use std::str::FromStr;

use leadvault_domain::{Category, DatasetId, ImportId, LabelFlag, Labels, LeadId, Regime};

/// Longest filter, in bytes (instruction.schema.json).
pub const FILTER_BYTES_MAX: usize = 500;
/// Deepest nesting of `(` and `not`: far beyond any filter a person writes, far below any stack.
const DEPTH_MAX: usize = 32;

/// Why a text is not a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A label that cannot be read before decryption, or does not exist.
    #[error("a label that cannot be read before decryption")]
    UnknownLabel,
    /// A value the label cannot have: the filter would never match.
    #[error("a value the label cannot have")]
    Value,
    /// Not of the grammar.
    #[error("not of the filter grammar")]
    Syntax,
    /// Longer than [`FILTER_BYTES_MAX`] or nested too deep.
    #[error("longer or deeper than a filter may be")]
    TooLarge,
}

/// What is known of a row. Without labels the row itself is not known, and a missing batch or lead
/// means unknown; with labels it means none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) batch: Option<ImportId>,
    pub(crate) lead: Option<LeadId>,
    pub(crate) labels: Option<Labels>,
}

/// True, false, or not known before the row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Unknown,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl Truth {
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// The label has any value, or the flag is set.
    Any(Label),
    /// The label has one of these values.
    Has(Vec<Value>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Dataset,
    Batch,
    Regime,
    Category,
    Restricted,
    Objected,
    Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Dataset(DatasetId),
    Batch(ImportId),
    Regime(Regime),
    Category(Category),
    Flag(Label, bool),
}

/// A parsed filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Expr);

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(FilterError::TooLarge);
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, depth: 0 };
        let expr = parser.expr()?;
        if parser.tokens.is_empty() { Ok(Self(expr)) } else { Err(FilterError::Syntax) }
    }
}

impl Filter {
    pub(crate) fn eval(&self, view: &View) -> Truth {
        self.0.eval(view)
    }
}

impl Expr {
    fn eval(&self, view: &View) -> Truth {
        match self {
            Self::And(all) => all.iter().map(|e| e.eval(view)).fold(Truth::True, Truth::and),
            Self::Or(any) => {
                any.iter().map(|e| e.eval(view).negated()).fold(Truth::True, Truth::and).negated()
            }
            Self::Not(inner) => inner.eval(view).negated(),
            Self::Any(label) => label.any(view),
            Self::Has(values) => values
                .iter()
                .map(|v| v.held(view).negated())
                .fold(Truth::True, Truth::and)
                .negated(),
        }
    }
}

impl Label {
    fn any(self, view: &View) -> Truth {
        match (self, view.labels) {
            (Self::Dataset, _) => view.dataset.map_or(Truth::Unknown, |_| Truth::True),
            (Self::Batch, _) if view.batch.is_some() => Truth::True,
            (_, None) => Truth::Unknown,
            (Self::Batch, Some(_)) => Truth::False,
            (Self::Regime, Some(labels)) => Truth::from(!labels.regimes().is_empty()),
            (Self::Category, Some(labels)) => Truth::from(!labels.categories().is_empty()),
            (Self::Restricted, Some(labels)) => Truth::from(labels.has(LabelFlag::Restricted)),
            (Self::Objected, Some(labels)) => Truth::from(
                labels.has(LabelFlag::ObjectionMarketing) || labels.has(LabelFlag::ObjectionOther),
            ),
            (Self::Hold, Some(labels)) => Truth::from(labels.has(LabelFlag::Hold)),
        }
    }

    fn value(self, text: &str) -> Result<Value, FilterError> {
        let value = match self {
            Self::Dataset => text.parse().ok().map(Value::Dataset),
            Self::Batch => text.parse().ok().map(Value::Batch),
            Self::Regime => text.parse().ok().map(Value::Regime),
            // A property of datasets: no row ever carries it.
            Self::Category => {
                text.parse().ok().filter(|c| *c != Category::SpecialCategory).map(Value::Category)
            }
            Self::Restricted | Self::Objected | Self::Hold => {
                text.parse().ok().map(|set| Value::Flag(self, set))
            }
        };
        value.ok_or(FilterError::Value)
    }
}

impl FromStr for Label {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        match text {
            "dataset" => Ok(Self::Dataset),
            "batch" => Ok(Self::Batch),
            "regime" => Ok(Self::Regime),
            "category" => Ok(Self::Category),
            "restricted" => Ok(Self::Restricted),
            "objected" => Ok(Self::Objected),
            "hold" => Ok(Self::Hold),
            _ => Err(FilterError::UnknownLabel),
        }
    }
}

impl Value {
    fn held(self, view: &View) -> Truth {
        match (self, view.labels) {
            (Self::Dataset(id), _) => view.dataset.map_or(Truth::Unknown, |d| (d == id).into()),
            (Self::Batch(id), _) if view.batch.is_some() => (view.batch == Some(id)).into(),
            (Self::Flag(label, set), _) => {
                let truth = label.any(view);
                if set { truth } else { truth.negated() }
            }
            (_, None) => Truth::Unknown,
            (Self::Batch(_), Some(_)) => Truth::False,
            (Self::Regime(regime), Some(labels)) => labels.regimes().contains(&regime).into(),
            (Self::Category(c), Some(labels)) => labels.categories().contains(&c).into(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Equal,
    NotEqual,
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, FilterError> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if let Some(after) = rest.strip_prefix("!=") {
            (Token::NotEqual, after)
        } else if let Some(after) = rest.strip_prefix('"') {
            let (value, after) = after.split_once('"').ok_or(FilterError::Syntax)?;
            (Token::Text(value), after)
        } else if first.is_ascii_alphabetic() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            (Token::Word(word), after)
        } else {
            let token = match first {
                '=' => Token::Equal,
                '(' => Token::Open,
                ')' => Token::Close,
                '[' => Token::ListOpen,
                ']' => Token::ListClose,
                ',' => Token::Comma,
                _ => return Err(FilterError::Syntax),
            };
            (token, rest.split_at(first.len_utf8()).1)
        };
        out.push(token);
        rest = after.trim_start();
    }
    Ok(out)
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<Token<'a>, FilterError> {
        let (first, rest) = self.tokens.split_first().ok_or(FilterError::Syntax)?;
        self.tokens = rest;
        Ok(*first)
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if *first == token => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expr(&mut self) -> Result<Expr, FilterError> {
        let mut any = vec![self.conjunction()?];
        while self.take(Token::Word("or")) {
            any.push(self.conjunction()?);
        }
        Ok(Expr::Or(any))
    }

    fn conjunction(&mut self) -> Result<Expr, FilterError> {
        let mut all = vec![self.term()?];
        while self.take(Token::Word("and")) {
            all.push(self.term()?);
        }
        Ok(Expr::And(all))
    }

    fn term(&mut self) -> Result<Expr, FilterError> {
        if self.take(Token::Word("not")) {
            return Ok(Expr::Not(Box::new(self.primary()?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, FilterError> {
        if self.take(Token::Open) {
            if self.depth == DEPTH_MAX {
                return Err(FilterError::TooLarge);
            }
            self.depth += 1;
            let inner = self.expr()?;
            self.depth -= 1;
            return if self.take(Token::Close) { Ok(inner) } else { Err(FilterError::Syntax) };
        }
        let Token::Word(word) = self.next()? else { return Err(FilterError::Syntax) };
        if matches!(word, "and" | "or" | "not" | "in") {
            return Err(FilterError::Syntax);
        }
        let label: Label = word.parse()?;
        if self.take(Token::Equal) {
            return Ok(Expr::Has(vec![self.value(label)?]));
        }
        if self.take(Token::NotEqual) {
            return Ok(Expr::Not(Box::new(Expr::Has(vec![self.value(label)?]))));
        }
        if self.take(Token::Word("in")) {
            return self.list(label).map(Expr::Has);
        }
        Ok(Expr::Any(label))
    }

    fn value(&mut self, label: Label) -> Result<Value, FilterError> {
        match self.next()? {
            Token::Text(text) => label.value(text),
            _ => Err(FilterError::Syntax),
        }
    }

    fn list(&mut self, label: Label) -> Result<Vec<Value>, FilterError> {
        if !self.take(Token::ListOpen) {
            return Err(FilterError::Syntax);
        }
        let mut values = vec![self.value(label)?];
        while self.take(Token::Comma) {
            values.push(self.value(label)?);
        }
        if self.take(Token::ListClose) { Ok(values) } else { Err(FilterError::Syntax) }
    }
}
