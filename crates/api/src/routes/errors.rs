//! `/docs/errors`: what every code means. The `type` of a problem points at its place on this page.

use std::sync::LazyLock;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{docs, markdown};
use crate::answer::Reply;
use crate::state::ApiState;

/// What decisions and use cases say, and what only this surface can.
const SOURCE: &str =
    concat!(include_str!("../../../../docs/ERRORS.md"), include_str!("../../assets/errors.md"));

static PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Errors</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"stylesheet\" href=\"/docs/docs.css\"></head><body><main>{}</main></body></html>",
        markdown::to_html(SOURCE)
    )
});

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show_errors))
}

/// Explains the codes of errors.
#[utoipa::path(get, path = "/docs/errors", tag = "service", responses(
    (status = 200, description = "The codes", body = String, content_type = "text/html"),
))]
async fn show_errors() -> Reply {
    docs::page(PAGE.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_problem_has_its_place_on_the_page() {
        let codes = crate::problem::every_code();
        assert!(codes.len() > 60);
        let missing: Vec<_> =
            codes.iter().filter(|c| !PAGE.contains(&format!("id=\"{c}\""))).collect();
        assert!(missing.is_empty(), "docs/ERRORS.md has no row or heading for {missing:?}");
    }

    #[test]
    fn an_unknown_code_has_no_place() {
        assert!(!PAGE.contains("id=\"no_such_code\""));
    }
}
