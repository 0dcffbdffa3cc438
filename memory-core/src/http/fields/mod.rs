//! Header fields, parsed: lists, `Cache-Control`, credentials, entity tags, dates.

mod cache_control;
mod credentials;
mod date;
mod directives;
mod entity_tag;
mod list;

pub(in crate::http) use self::{
    cache_control::CacheControl,
    credentials::{is_authorized, is_credential},
    date::{imf, moment},
    directives::directives,
    entity_tag::EntityTag,
    list::members,
};
