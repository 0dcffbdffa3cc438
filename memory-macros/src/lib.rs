//! The attributes of `memory-core`: parse → validate → expand, nothing else.

mod options;
