//! Header fields, parsed: lists, `Cache-Control`, entity tags, dates.

mod cache_control;
mod date;
mod directives;
mod entity_tag;
mod list;

pub(in crate::http) use self::{
    cache_control::CacheControl,
    date::{imf, moment},
    directives::directives,
    entity_tag::EntityTag,
    list::members,
};
