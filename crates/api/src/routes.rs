//! The routes, one file per noun. A file offers `routes()` for JSON calls, or `streams()` where bodies
//! are files; both are named here once, and nowhere else.

mod changes;
mod datasets;
mod docs;
mod errors;
mod explain;
mod exports;
mod files;
mod health;
mod imports;
mod instructions;
mod keys;
mod leads;
mod log;
mod markdown;
mod notices;
mod operations;
mod tenant_settings;
mod tenants;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use leadvault_vault::Fault;
use utoipa_axum::router::OpenApiRouter;

use crate::budget::{Budget, within};
use crate::extract::credential::authenticate;
use crate::problem::Problem;
use crate::request_line::{Edge, request_line};
use crate::share::{Share, within_share};
use crate::state::{ApiState, OfCell};

/// The routes by what they need.
pub(crate) struct Groups {
    /// Without a credential: health and documentation.
    pub(crate) open: OpenApiRouter<ApiState>,
    /// With a credential and at most a JSON body.
    pub(crate) calls: OpenApiRouter<ApiState>,
    /// With a credential and a body of any length, in or out.
    pub(crate) streams: OpenApiRouter<ApiState>,
    /// With a credential, and answered when something happens.
    pub(crate) waits: OpenApiRouter<ApiState>,
}

/// Every route of the surface.
pub(crate) fn groups() -> Groups {
    Groups {
        open: OpenApiRouter::new()
            .merge(health::routes())
            .merge(docs::routes())
            .merge(errors::routes()),
        calls: OpenApiRouter::new()
            .merge(tenants::routes())
            .merge(tenant_settings::routes())
            .merge(keys::routes())
            .merge(instructions::routes())
            .merge(explain::routes())
            .merge(datasets::routes())
            .merge(leads::routes())
            .merge(files::routes())
            .merge(imports::routes())
            .merge(exports::routes())
            .merge(operations::routes())
            .merge(notices::routes())
            .merge(log::routes()),
        streams: OpenApiRouter::new()
            .merge(imports::streams())
            .merge(exports::streams())
            .merge(files::streams()),
        waits: changes::waits(),
    }
}

/// The router with its layers, outermost last.
pub(crate) fn serve(state: ApiState) -> Router {
    let settings = state.settings;
    let groups = groups();
    let known = from_fn_with_state(state.clone(), authenticate);
    let calls = behind(groups.calls, |router| {
        router
            .layer(DefaultBodyLimit::max(settings.body_bytes_max))
            .route_layer(from_fn_with_state(Share::of(settings.concurrent_requests), within_share))
            .route_layer(known.clone())
            .route_layer(from_fn_with_state(Budget::calls(&settings), within))
    });
    let streams = behind(groups.streams, |router| {
        router
            .layer(DefaultBodyLimit::disable())
            .route_layer(from_fn_with_state(Share::of(settings.concurrent_streams), within_share))
            .route_layer(known.clone())
            .route_layer(from_fn_with_state(Budget::streams(&settings), within))
    });
    let waits = behind(groups.waits, |router| {
        router
            .layer(DefaultBodyLimit::max(settings.body_bytes_max))
            .route_layer(from_fn_with_state(Share::of(settings.concurrent_waits), within_share))
            .route_layer(known.clone())
            .route_layer(from_fn_with_state(Budget::waits(&settings), within))
    });
    let source = Arc::new(OfCell(Arc::clone(&state.cell)));
    let edge = Edge {
        clock: source.clone(),
        entropy: source.clone(),
        observer: source,
        https: settings.https,
    };
    Router::from(groups.open)
        .merge(docs::assets())
        .merge(calls)
        .merge(streams)
        .merge(waits)
        .fallback(async || Problem::from(Fault::NotFound))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn_with_state(edge, request_line))
        .with_state(state)
}

/// Puts layers around routes; axum takes none around no routes.
fn behind(
    group: OpenApiRouter<ApiState>,
    layers: impl FnOnce(Router<ApiState>) -> Router<ApiState>,
) -> Router<ApiState> {
    let router = Router::from(group);
    if router.has_routes() { layers(router) } else { router }
}
