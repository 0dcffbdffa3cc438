//! Which server of a cluster owns which slots.

use std::fmt;

use redis::{Pipeline, Value};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The masters of a cluster with their slots, as one server knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shards {
    /// Raised by every change; of two servers, the one with the higher epoch knows more.
    pub(crate) epoch: u64,
    pub(crate) masters: Vec<Address>,
    /// The last slot of each range, with the place of its owner in `masters`; in ascending order, without gaps.
    ranges: Vec<(u16, Option<usize>)>,
}

impl Shards {
    /// Asks a server for what [`parse`](Self::parse) reads.
    pub(crate) fn question() -> Pipeline {
        let mut question = Pipeline::new();
        question.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("INFO");
        question
    }

    /// From the answers of a server that is reached as `host`; `None` for anything that is no cluster.
    pub(crate) fn parse(answers: &[Value], host: &str) -> Option<Self> {
        let [Value::Array(ranges), info] = answers else { return None };
        let mut owned = ranges.iter().map(|range| range_of(range, host)).collect::<Option<Vec<_>>>()?;
        owned.sort_by_key(|(first, ..)| *first);
        let mut shards = Self { epoch: epoch(info), ..Self::default() };
        for (first, last, master) in owned {
            shards.own(first, last, master);
        }
        (!shards.masters.is_empty()).then_some(shards)
    }

    /// The place of a slot's owner in `masters`.
    pub(crate) fn owner(&self, slot: u16) -> Option<usize> {
        let at = self.ranges.partition_point(|(last, _)| *last < slot);
        self.ranges.get(at)?.1
    }

    /// How many slots have an owner.
    pub(crate) fn covered(&self) -> u32 {
        let mut first = 0;
        let lengths = self.ranges.iter().map(|(last, owner)| {
            let length = u32::from(*last) + 1 - first;
            first += length;
            if owner.is_some() { length } else { 0 }
        });
        lengths.sum()
    }

    fn own(&mut self, first: u16, last: u16, master: Address) {
        let known = self.masters.iter().position(|other| *other == master);
        let place = known.unwrap_or_else(|| {
            self.masters.push(master);
            self.masters.len() - 1
        });
        let next = self.ranges.last().map_or(0, |(last, _)| last.saturating_add(1));
        if next < first {
            self.ranges.push((first - 1, None));
        }
        self.ranges.push((last, Some(place)));
    }
}

/// The first slot, the last slot, the master, then the replicas.
fn range_of(range: &Value, asked: &str) -> Option<(u16, u16, Address)> {
    let Value::Array(parts) = range else { return None };
    let [first, last, Value::Array(master), ..] = &parts[..] else { return None };
    let [host, port, ..] = &master[..] else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => std::str::from_utf8(host).ok()?,
        // It does not know how it is called, but we have reached it.
        _ => asked,
    };
    Some((number(first)?, number(last)?, Address { host: host.to_owned(), port: number(port)? }))
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

fn epoch(info: &Value) -> u64 {
    let text = match info {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        Value::VerbatimString { text, .. } => text,
        _ => "",
    };
    let line = text.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let node = Value::Array(vec![Value::BulkString(host.into()), Value::Int(port)]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node.clone(), node])
    }

    #[test]
    fn every_slot_has_the_owner_that_was_named() {
        let ranges = vec![range(8_192, 16_383, "b", 2), range(0, 99, "a", 1), range(100, 8_000, "", 3)];
        let info = Value::BulkString(b"cluster_state:ok\r\ncluster_current_epoch:12\r\n".to_vec());
        let shards = Shards::parse(&[Value::Array(ranges), info], "asked").unwrap();
        let owner = |slot| shards.owner(slot).map(|at| (shards.masters[at].host.as_str(), shards.masters[at].port));
        assert_eq!((owner(0), owner(99)), (Some(("a", 1)), Some(("a", 1))));
        assert_eq!((owner(100), owner(8_000)), (Some(("asked", 3)), Some(("asked", 3))));
        assert_eq!((owner(8_001), owner(8_191)), (None, None));
        assert_eq!((owner(8_192), owner(16_383)), (Some(("b", 2)), Some(("b", 2))));
        assert_eq!((shards.epoch, shards.covered()), (12, 16_384 - 191));
    }

    #[test]
    fn what_is_no_cluster_is_not_taken_for_one() {
        assert_eq!(Shards::parse(&[Value::Array(Vec::new()), Value::Nil], "a"), None);
        assert_eq!(Shards::parse(&[Value::Nil, Value::Nil], "a"), None);
        assert_eq!(Shards::parse(&[Value::Array(vec![Value::Int(1)]), Value::Nil], "a"), None);
    }
}
