//! Sweeping away everything whose name begins in one way, without blocking the server and without touching others.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use memory_core::FmError;
use redis::{Pipeline, Value};

use crate::{failure, link::Link, names};

/// So many keys are looked at in one step: measured, more is no faster and holds others up.
const STEP: usize = 1000;
const STEP_LIMIT: Duration = Duration::from_secs(1);
/// A sweep that takes longer ends with an error; what is left is swept later.
const SWEEP_LIMIT: Duration = Duration::from_secs(60);

/// Removes every key that begins with `start`, on every master; how many there were.
///
/// Entries that are stored while it runs may go too: to a cache, that is a miss.
pub(crate) async fn sweep(link: &Arc<Link>, start: &str) -> Result<u64, FmError> {
    let servers = link.servers()?;
    let sweeps = servers.iter().map(|server| sweep_one(link, server, start));
    Ok(try_join_all(sweeps).await?.into_iter().sum())
}

async fn sweep_one(link: &Link, server: &Link, start: &str) -> Result<u64, FmError> {
    let began = Instant::now();
    let pattern = names::pattern(start);
    let (mut cursor, mut doomed, mut removed) = (b"0".to_vec(), Vec::new(), 0);
    loop {
        let mut step = Pipeline::new();
        step.cmd("SCAN").arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        let (answers, gone) = tokio::join!(server.ask(&step, STEP_LIMIT), unlink(link, &doomed));
        removed += gone?;
        (cursor, doomed) = page(failure::answered(&answers?[0])?).ok_or_else(|| link.out_of_step())?;
        // Whatever a server makes of the pattern, nobody else's key is ever removed.
        doomed.retain(|key| key.starts_with(start.as_bytes()));
        if cursor == b"0" {
            break;
        }
        if began.elapsed() > SWEEP_LIMIT {
            return Err(failure::too_slow(SWEEP_LIMIT));
        }
    }
    Ok(removed + unlink(link, &doomed).await?)
}

/// Sent by the keys' own slots: one of them may have moved since it was seen.
async fn unlink(link: &Link, doomed: &[Vec<u8>]) -> Result<u64, FmError> {
    if doomed.is_empty() {
        return Ok(0);
    }
    let mut step = Pipeline::new();
    for together in doomed.chunks(if link.is_spread() { 1 } else { STEP }) {
        step.cmd("UNLINK").arg(together);
    }
    count(link, &link.ask(&step, STEP_LIMIT).await?)
}

fn count(link: &Link, answers: &[Value]) -> Result<u64, FmError> {
    answers.iter().map(|answer| crate::scripts::number(link, answer)).sum()
}

/// The next cursor and the keys of one answer: bytes, since others' keys need not be text.
fn page(answer: &Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(cursor), Value::Array(keys)] = &parts[..] else { return None };
    let keys = keys.iter().map(|key| match key {
        Value::BulkString(key) => Some(key.clone()),
        _ => None,
    });
    Some((cursor.clone(), keys.collect::<Option<_>>()?))
}
