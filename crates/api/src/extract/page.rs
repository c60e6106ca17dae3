//! `?limit=` of lists.

use leadvault_vault::Fault;

/// Items of a page where the call does not say.
const LIMIT_DEFAULT: u32 = 50;
/// Items of a page at most: one entry names every lead of a page, and an entry is bounded.
const LIMIT_MAX: u32 = 200;

/// The limit of a page, 1 to 200; `place` says where it stands.
///
/// # Errors
/// [`Fault::LimitTooLarge`] above 200, [`Fault::BadRequest`] for 0.
pub(crate) fn page_limit(asked: Option<u64>, place: &'static str) -> Result<u32, Fault> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(0) => Err(Fault::bad(place, "zero")),
        Some(n) => {
            let limit = u32::try_from(n).ok().filter(|n| *n <= LIMIT_MAX);
            limit.ok_or(Fault::LimitTooLarge)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_one_to_two_hundred() {
        assert_eq!(page_limit(None, "query:limit"), Ok(50));
        assert_eq!(page_limit(Some(1), "query:limit"), Ok(1));
        assert_eq!(page_limit(Some(200), "query:limit"), Ok(200));
        assert_eq!(page_limit(Some(201), "query:limit"), Err(Fault::LimitTooLarge));
        assert_eq!(page_limit(Some(u64::MAX), "query:limit"), Err(Fault::LimitTooLarge));
        assert!(matches!(page_limit(Some(0), "query:limit"), Err(Fault::BadRequest(_))));
    }
}
