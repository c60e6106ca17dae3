//! axum: REST. Shapes requests and answers; knows no SQL and no key.
