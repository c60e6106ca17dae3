//! From an HTTP request to what a use case takes.
//!
//! [`TenantCall`] and [`OperatorCall`] are the only ways to a caller; both read the credential that
//! [`credential::authenticate`] has put there, never a header of the request. With a JSON body, use
//! [`TenantJson`], [`TenantPatch`] or [`OperatorJson`] as the last argument. Ids, queries and `If-Match`
//! come through [`Path`], [`Query`] and [`IfMatch`], whose refusals say where, never what.

pub(crate) mod credential;

mod call;
mod headers;
mod if_match;
mod json;
mod members;
mod page;
mod params;
mod range;

pub(crate) use call::{Author, OperatorCall, TenantCall};
pub(crate) use headers::named;
pub(crate) use if_match::IfMatch;
pub(crate) use json::{AuthorJson, OperatorJson, TenantJson, TenantPatch, distinct, present};
pub(crate) use page::page_limit;
pub(crate) use params::{Path, Query};
pub(crate) use range::{ByteRange, ContentRange, Ranged};
