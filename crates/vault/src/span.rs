//! Which bytes of a whole are wanted (RFC 9110, 14.1.2).

use crate::error::Fault;

/// Which bytes of a package or a file are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// All of them.
    Whole,
    /// From an offset to the end, or to an offset that is included.
    From(u64, Option<u64>),
    /// The last so many.
    Last(u64),
}

impl Span {
    /// First byte, and one past the last.
    ///
    /// # Errors
    /// [`Fault::RangeNotSatisfiable`] for a span beyond the whole.
    pub(crate) fn within(self, total: u64) -> Result<(u64, u64), Fault> {
        let (first, end) = match self {
            Self::Whole => return Ok((0, total)),
            Self::From(first, last) => {
                (first, last.map_or(total, |last| last.saturating_add(1)).min(total))
            }
            Self::Last(n) => (total.saturating_sub(n), total),
        };
        if first < end { Ok((first, end)) } else { Err(Fault::RangeNotSatisfiable { total }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_with_the_whole_and_none_begins_behind_it() {
        assert_eq!(Span::Whole.within(10), Ok((0, 10)));
        assert_eq!(Span::From(3, None).within(10), Ok((3, 10)));
        assert_eq!(Span::From(3, Some(3)).within(10), Ok((3, 4)));
        assert_eq!(Span::From(3, Some(u64::MAX)).within(10), Ok((3, 10)));
        assert_eq!(Span::Last(4).within(10), Ok((6, 10)));
        assert_eq!(Span::Last(40).within(10), Ok((0, 10)));
        let beyond = Err(Fault::RangeNotSatisfiable { total: 10 });
        assert_eq!(Span::From(10, None).within(10), beyond);
        assert_eq!(Span::From(5, Some(4)).within(10), beyond);
        assert_eq!(Span::Last(0).within(10), beyond);
    }
}
