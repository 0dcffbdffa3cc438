//! The functions of this process and their numbers.
//!
//! A number is only good in this process; a function's id, namespace and version are what other processes know it by.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

/// Where a function stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    /// The file, as the compiler names it.
    pub(crate) file: &'static str,
    /// The line, from 1.
    pub(crate) line: u32,
    /// The column, from 1.
    pub(crate) column: u32,
}

/// A registered function.
#[derive(Debug)]
pub(crate) struct Function {
    /// What it is called in keys; ends with its place in the source where another function had the name first.
    pub(crate) id: Arc<str>,
    /// Its namespace, as the user wrote it.
    pub(crate) namespace: Option<Arc<str>>,
    /// Its version, where it has one.
    pub(crate) version: Option<u64>,
    /// The escaped text of all three.
    pub(super) path: Box<str>,
}

/// Gives a function its number; the same function always gets the same one.
///
/// When another place in the source has registered this id, namespace and version before, the id gets a suffix, so that
/// the two never share entries in this process, and an error is logged: the remedy is a `name = ".."` for one of them.
pub(crate) fn register(id: &str, namespace: Option<&'static str>, version: Option<u64>, site: Site) -> u32 {
    let name = Name { id: id.into(), namespace, version };
    let mut registry = registry().write().unwrap_or_else(PoisonError::into_inner);
    let sites = registry.numbers.entry(name.clone()).or_default();
    if let Some((_, number)) = sites.iter().find(|(known, _)| *known == site) {
        return *number;
    }
    let clash = sites.first().map(|(first, _)| *first);
    let function = Function::new(&name, clash.map(|_| site));
    // More functions than `u32` counts do not fit into a program.
    let number = u32::try_from(registry.count + 1).unwrap_or(u32::MAX);
    registry.ids.entry(function.id.clone()).or_default().push(number);
    FUNCTIONS.put(registry.count, function);
    registry.count += 1;
    registry.numbers.entry(name).or_default().push((site, number));
    drop(registry);
    if let Some(first) = clash {
        report(id, first, site);
    }
    number
}

/// The function with this number.
pub(crate) fn function(number: u32) -> Option<&'static Function> {
    FUNCTIONS.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

/// The number of the function that other processes know by this id, namespace and version.
pub(crate) fn number(id: &str, namespace: Option<&str>, version: Option<u64>) -> Option<u32> {
    let registry = registry().read().unwrap_or_else(PoisonError::into_inner);
    let is_it = |number: u32| {
        let function = function(number)?;
        (function.namespace.as_deref() == namespace && function.version == version).then_some(number)
    };
    registry.ids.get(id)?.iter().find_map(|number| is_it(*number))
}

/// All functions, by number less one. They are looked up at every miss, and so without a lock.
static FUNCTIONS: Functions = Functions { blocks: [const { OnceLock::new() }; BLOCKS] };

/// Blocks of which each is twice as long as the one before; what is in them never moves.
struct Functions {
    blocks: [OnceLock<Box<[OnceLock<Function>]>>; BLOCKS],
}

const FIRST: usize = 64;
/// Enough for every number.
const BLOCKS: usize = 27;

impl Functions {
    fn get(&self, at: usize) -> Option<&Function> {
        let (block, offset) = Self::place(at);
        self.blocks.get(block)?.get()?.get(offset)?.get()
    }

    /// Puts a function where there was none.
    fn put(&self, at: usize, function: Function) {
        let (block, offset) = Self::place(at);
        let Some(block_at) = self.blocks.get(block) else { return };
        let functions = block_at.get_or_init(|| (0..FIRST << block).map(|_| OnceLock::new()).collect());
        if let Some(place) = functions.get(offset) {
            let _ = place.set(function);
        }
    }

    fn place(at: usize) -> (usize, usize) {
        let block = ((at + FIRST).ilog2() - FIRST.ilog2()) as usize;
        (block, at + FIRST - (FIRST << block))
    }
}

#[derive(Default)]
struct Registry {
    /// How many functions there are.
    count: usize,
    numbers: HashMap<Name, Vec<(Site, u32)>>,
    /// The numbers behind each id, in any namespace and version.
    ids: HashMap<Arc<str>, Vec<u32>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    id: Arc<str>,
    namespace: Option<&'static str>,
    version: Option<u64>,
}

fn registry() -> &'static RwLock<Registry> {
    static REGISTRY: OnceLock<RwLock<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(RwLock::default)
}

impl Function {
    fn new(name: &Name, clash: Option<Site>) -> Self {
        let mut path = super::escape::path(&name.id);
        let mut id = name.id.clone();
        if let Some(site) = clash {
            let suffix = format!("@{}.{}", site.line, site.column);
            path.push_str(&suffix);
            id = format!("{id}{suffix}").into();
        }
        if let Some(version) = name.version {
            path.push_str(&format!("@v{version}"));
        }
        if let Some(namespace) = name.namespace {
            path.insert_str(0, &format!("{}/", super::escape::name(namespace)));
        }
        Self { id, namespace: name.namespace.map(Into::into), version: name.version, path: path.into() }
    }
}

fn report(id: &str, first: Site, second: Site) {
    tracing::error!(
        id,
        first = format_args!("{}:{}:{}", first.file, first.line, first.column),
        second = format_args!("{}:{}:{}", second.file, second.line, second.column),
        "two memorized functions have the same name in keys: give one of them `name = \"..\"`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        assert_eq!([0, 63, 64, 191, 192].map(Functions::place), [(0, 0), (0, 63), (1, 0), (1, 127), (2, 0)]);
        assert_eq!(Functions::place(u32::MAX as usize - FIRST).0, BLOCKS - 2);
    }
}
